"""All desks of the stand-in's account, and the table of their endpoints. Called by wechat_api.py and sandbox.py."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from bdnews_dispatch.sandbox.wechat.consents import Consents
from bdnews_dispatch.sandbox.wechat.drafts import Drafts
from bdnews_dispatch.sandbox.wechat.endpoint import Endpoint
from bdnews_dispatch.sandbox.wechat.jssdk import Consented, Jssdk
from bdnews_dispatch.sandbox.wechat.mass import Mass
from bdnews_dispatch.sandbox.wechat.materials import Materials
from bdnews_dispatch.sandbox.wechat.menus import Menus
from bdnews_dispatch.sandbox.wechat.oauth import OAuth
from bdnews_dispatch.sandbox.wechat.publications import Publications
from bdnews_dispatch.sandbox.wechat.quotas import Quotas
from bdnews_dispatch.sandbox.wechat.reports import Reports
from bdnews_dispatch.sandbox.wechat.tags import Tags
from bdnews_dispatch.sandbox.wechat_platform import Platform


@dataclass(slots=True)
class Desks:
    """One of each."""

    platform: Platform
    reports: Reports
    consented: Consented
    materials: Materials = field(init=False)
    drafts: Drafts = field(init=False)
    tags: Tags = field(init=False)
    mass: Mass = field(init=False)
    publications: Publications = field(init=False)
    consents: Consents = field(init=False)
    menus: Menus = field(init=False)
    quotas: Quotas = field(init=False)
    oauth: OAuth = field(init=False)
    jssdk: Jssdk = field(init=False)
    endpoints: Mapping[str, Endpoint] = field(init=False)

    def __post_init__(self) -> None:
        clock = self.platform.clock
        self.materials = Materials(clock)
        self.drafts = Drafts(clock, self.materials)
        self.tags = Tags(self.platform)
        self.mass = Mass(self.platform, self.drafts, self.reports, self.tags.members)
        self.publications = Publications(self.drafts, self.reports)
        self.consents = Consents(self.platform)
        self.menus = Menus()
        self.quotas = Quotas(clock)
        self.oauth = OAuth(self.platform)
        self.jssdk = Jssdk(self.consents, self.consented)
        self.platform.tags_of = self.tags.of
        groups = (
            self.materials.endpoints(),
            self.drafts.endpoints(),
            self.tags.endpoints(),
            self.mass.endpoints(),
            self.publications.endpoints(),
            self.consents.endpoints(),
            self.menus.endpoints(),
            self.quotas.endpoints(),
            {"ticket/getticket": Endpoint("GET", self.jssdk.give)},
        )
        self.endpoints = {name: endpoint for group in groups for name, endpoint in group.items()}
