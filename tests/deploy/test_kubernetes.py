"""The manifests: Kubernetes' own schemas, the restricted Pod Security Standard, and that they point at one another."""

from collections.abc import Mapping
from typing import Any

import kubernetes_validate
import pytest
from tests.deploy.files import DEPLOY, INSIDE, manifests, of_kind, pod_of, read_yaml

from bdnews_dispatch.service.roles import DRAIN_SECONDS
from bdnews_dispatch.web.routes import OPERATIONS_ROUTES, ROUTES

Manifest = Mapping[str, Any]


def name_of(manifest: Manifest) -> str:
    return f"{manifest['kind']}/{manifest['metadata']['name']}"


WORKLOADS = of_kind("Deployment", "Job")
DEPLOYMENTS = of_kind("Deployment")
every_workload = pytest.mark.parametrize("workload", WORKLOADS, ids=name_of)


# preStop's sleep came with 1.30.
@pytest.mark.parametrize("version", ["1.30", "1.34", "1.37"])
@pytest.mark.parametrize("manifest", manifests(), ids=name_of)
def test_the_schema_is_kept(manifest: Manifest, version: str) -> None:
    kubernetes_validate.validate(manifest, version, strict=True)


def test_a_fault_would_be_found() -> None:
    broken = {**DEPLOYMENTS[0], "spec": {**DEPLOYMENTS[0]["spec"], "replica": 2}}
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(broken, "1.34", strict=True)


def test_every_file_is_named_by_the_kustomization() -> None:
    (kustomization,) = read_yaml(DEPLOY / "kubernetes" / "kustomization.yaml")
    files = {file.name for file in (DEPLOY / "kubernetes").glob("*.yaml")}
    assert files == {*kustomization["resources"], "kustomization.yaml", "secret.example.yaml"}


@every_workload
def test_the_restricted_standard_is_kept(workload: Manifest) -> None:
    pod = pod_of(workload)
    (container,) = pod["containers"]
    own = pod["securityContext"]
    assert own["runAsNonRoot"] is True
    assert own["runAsUser"] > 0
    assert own["seccompProfile"] == {"type": "RuntimeDefault"}
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert not {"hostNetwork", "hostPID", "hostIPC"} & set(pod)
    assert all({"secret", "emptyDir", "persistentVolumeClaim"} & set(volume) for volume in pod["volumes"])
    (namespace,) = of_kind("Namespace")
    assert namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"


@every_workload
def test_no_token_of_the_cluster_is_in_a_pod(workload: Manifest) -> None:
    accounts = {each["metadata"]["name"]: each for each in of_kind("ServiceAccount")}
    pod = pod_of(workload)
    assert pod["automountServiceAccountToken"] is False
    assert accounts[pod["serviceAccountName"]]["automountServiceAccountToken"] is False


@every_workload
def test_kubernetes_adds_no_variables_that_would_be_taken_for_settings(workload: Manifest) -> None:
    """A Service bdnews-web would give BDNEWS_WEB_PORT=tcp://…, which stops every command."""
    assert pod_of(workload)["enableServiceLinks"] is False


@every_workload
def test_what_is_mounted_and_read_is_there(workload: Manifest) -> None:
    pod = pod_of(workload)
    (container,) = pod["containers"]
    volumes = {volume["name"]: volume for volume in pod["volumes"]}
    mounts = {mount["name"]: mount["mountPath"] for mount in container["volumeMounts"]}
    assert set(volumes) == set(mounts)
    (secret,) = of_kind("Secret")
    (settings,) = of_kind("ConfigMap")
    assert volumes["settings"]["secret"]["secretName"] == secret["metadata"]["name"]
    assert settings["data"]["BDNEWS_CONFIG"] == f"{mounts['settings']}/{next(iter(secret['stringData']))}"
    assert container["envFrom"] == [{"configMapRef": {"name": settings["metadata"]["name"]}}]
    claims = {each["metadata"]["name"] for each in of_kind("PersistentVolumeClaim")}
    if "issues" in volumes:
        assert volumes["issues"]["persistentVolumeClaim"]["claimName"] in claims
        assert mounts["issues"] == settings["data"]["BDNEWS_ISSUES__FOLDER"]


def test_the_example_of_a_secret_has_no_values() -> None:
    (secret,) = of_kind("Secret")
    assert set(secret["stringData"].values()) == {""}


@pytest.mark.parametrize("deployment", DEPLOYMENTS, ids=name_of)
def test_a_deployment_is_asked_watched_spread_and_drained(deployment: Manifest) -> None:
    pod = pod_of(deployment)
    (container,) = pod["containers"]
    labels = deployment["spec"]["template"]["metadata"]["labels"]
    assert deployment["spec"]["selector"]["matchLabels"] == labels
    (port,) = container["ports"]
    for probe, path in (("startupProbe", "/live"), ("livenessProbe", "/live"), ("readinessProbe", "/ready")):
        assert container[probe]["httpGet"] == {"path": path, "port": port["name"]}
    assert pod["terminationGracePeriodSeconds"] > DRAIN_SECONDS + 10
    for constraint in pod["topologySpreadConstraints"]:
        assert constraint["labelSelector"]["matchLabels"] == labels
    budgets = [each["spec"] for each in of_kind("PodDisruptionBudget")]
    assert [each for each in budgets if each["selector"]["matchLabels"] == labels]
    assert {"requests", "limits"} == set(container["resources"])


def test_probes_ask_what_is_answered() -> None:
    """On the pages' port without /metrics; all three on the operations' own."""
    assert {"/live", "/ready"} <= {route.path for route in ROUTES}
    assert {"/live", "/ready", "/metrics"} <= {route.path for route in OPERATIONS_ROUTES}


def test_workers_are_as_many_as_the_queue_wants() -> None:
    (scaler,) = of_kind("HorizontalPodAutoscaler")
    worker = next(each for each in DEPLOYMENTS if each["metadata"]["name"] == "bdnews-worker")
    assert scaler["spec"]["scaleTargetRef"]["name"] == "bdnews-worker"
    # Whoever says a number there takes it back from the scaler with every `apply`.
    assert "replicas" not in worker["spec"]
    external, resource = scaler["spec"]["metrics"]
    assert external["external"]["metric"] == {"name": "bdnews_deliveries_due"}
    # A share of CPU is one of what was asked for.
    assert resource["resource"]["name"] in pod_of(worker)["containers"][0]["resources"]["requests"]


def test_the_service_and_the_ingress_lead_to_the_web_pods() -> None:
    (service,), (ingress,) = of_kind("Service"), of_kind("Ingress")
    web = next(each for each in DEPLOYMENTS if each["metadata"]["name"] == "bdnews-web")
    assert service["spec"]["selector"] == web["spec"]["template"]["metadata"]["labels"]
    assert service["spec"]["ports"][0]["targetPort"] == pod_of(web)["containers"][0]["ports"][0]["name"]
    (rule,) = ingress["spec"]["rules"]
    assert ingress["spec"]["tls"][0]["hosts"] == [rule["host"]]
    for path in rule["http"]["paths"]:
        backend = path["backend"]["service"]
        assert backend == {"name": service["metadata"]["name"], "port": {"name": "http"}}


def test_the_ingress_lets_out_what_is_public_and_nothing_else() -> None:
    (ingress,) = of_kind("Ingress")
    (rule,) = ingress["spec"]["rules"]

    def fits(each: Manifest, path: str) -> bool:
        prefix = each["path"].rstrip("/")
        return path == each["path"] or (each["pathType"] == "Prefix" and path.startswith(f"{prefix}/"))

    paths = {route.path for route in ROUTES}
    let_out = {path for path in paths if any(fits(each, path) for each in rule["http"]["paths"])}
    assert let_out == paths - INSIDE


def test_nothing_goes_in_or_out_unless_it_is_named() -> None:
    policies = {each["metadata"]["name"]: each["spec"] for each in of_kind("NetworkPolicy")}
    assert policies.pop("default-deny") == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
    pods: list[Manifest] = [each["spec"]["template"]["metadata"]["labels"] for each in WORKLOADS]
    for name, policy in policies.items():
        wanted = policy["podSelector"]["matchLabels"].items()
        assert any(wanted <= labels.items() for labels in pods), name
        rules = [*policy.get("ingress", []), *policy.get("egress", [])]
        assert rules, name
        assert all(rule.get("ports") for rule in rules), name
        assert all(rule.get("from") for rule in policy.get("ingress", [])), name
