"""Texts that say nothing about anybody: issues in the layout of the sample, and bulletins.

In: a number, a day, lots. Out: Markdown, which the parser reads as it would read a file. Cities, companies and figures
are made up.
"""

import datetime as dt
from dataclasses import dataclass
from random import Random

_CITIES = ("云岭市", "临江市", "东屿市", "北原市", "青石县", "南汀新区")
_TOPICS = (
    "公共数据登记", "数据基础设施", "政务服务“一件事”", "数据标注产业", "算力调度", "城市数字底座",
    "数据质量评价", "电子证照互认", "数据流通安全", "中小企业数字化", "公共数据授权运营", "数字乡村",
)  # fmt: skip
_TECHNIQUES = ("隐私计算", "可信数据空间", "时空数据引擎", "数据合成", "联邦学习", "向量检索", "知识图谱")
_COMPANIES = ("远航重工", "澄湖物流", "松间医药", "白塔电网", "渡口科技", "禾木农业")
_SOURCES = ("云岭数据战略研究院", "数字经济政策研究室", "城市数据治理实验室", "数据流通课题组")
_TITLES = {
    "国策要论": ("{topic}：从试点走向常态", "推进{topic}的总体安排与分工", "{topic}年度评估的几点发现"),
    "地方新政": ("{city}印发{topic}实施方案", "{city}：{topic}的一次试验", "{city}{topic}三年行动计划"),
    "产业镜像": ("{topic}发展报告（{year}年）要点", "{topic}季度观察", "{number}家企业谈{topic}"),
    "前沿观察": ("{technique}的工程化：进展与难点", "{technique}走出实验室还差几步", "{technique}研究综述"),
    "企业动向": ("{company}：把{topic}做成日常", "{company}的{technique}平台上线一年", "{company}谈{topic}"),
}
_OPENINGS = (
    "围绕{topic}，各方在过去一个季度里做了不少具体的事，也留下了几个需要继续回答的问题。",
    "{city}把{topic}列入全年重点，先从需求最迫切的三个场景做起，再逐步推广到其他部门。",
    "与前几年相比，{topic}的重心已从“建起来”转向“用起来”，评价的办法也随之改变。",
)
_MIDDLES = (
    "调查显示，{number}个样本单位中约有六成已经形成固定的流程，其余仍依靠个别人员的经验。",
    "{technique}在其中承担了关键的一环：数据不离开原来的地方，结果可以核对，过程留有记录。",
    "负责人介绍，最费时间的不是技术，而是把口径说清楚：同一个词在三个系统里有三种含义。",
)
_ENDINGS = (
    "下一步将把维护责任落实到人，并按季度公布更新的情况，让使用者来检验效果。",
    "受访者普遍认为，先把小事做成，比一次铺开更稳妥；已有的做法将整理成手册供其他地方参考。",
    "这些数字还不足以下结论，但方向是清楚的：谁用得多，谁就改得快。",
)
_NOTES = (
    "这项工作已推进一年有余。本文梳理了进展与仍待回答的问题，供读者参考。",
    "地方的做法各有侧重。本刊选编其要点，可供其他地方借鉴。",
    "报告以可核验的运行数据说明变化，本刊摘录其中与管理者关系较大的部分。",
)
_COVER = """\
# 大数据发展动态

以战略的视角解读数字中国

{day.year}年{day.month}月{day.day}日 第{number}期 总第{total}期

**主 编** 云岭数据战略研究院

**责任编辑** 林知远 沈若舟

**咨询电话** 0000-5550112

**邮 箱** bianjibu@example.cn

**声明:** 本刊为演示编写，文中机构、地名与数据均为假设，不代表任何真实单位的立场。

## 本 期 要 目
"""


@dataclass(frozen=True, slots=True)
class Notice:
    """A bulletin. `sections`: keys of those whom it concerns; none: everybody."""

    title: str
    body: str
    sections: tuple[str, ...] = ()
    urgent: bool = False


#: Of the past year, in turn.
NOTICES = (
    Notice("关于第三季度专题征稿的说明", "第三季度专题为**数据质量评价**，欢迎读者来信推荐案例。", ("policy", "local")),
    Notice("读者座谈会报名开始", "座谈会将于下月在云岭市举行，名额四十人，[报名表](https://www.example.com/meeting)今日开放。"),
    Notice("更正：上一期第七页的一处数字", "上一期第七页“六成”应为“近六成”，网页版已改，谨致歉意。", ("industry",)),
    Notice("今晚网页版维护", "今晚 22 时至 23 时网页版暂停访问，邮件照常寄出。", (), urgent=True),
    Notice("年度读者调查", "占用您三分钟：[填写问卷](https://www.example.com/survey)，结果将在下一期公布。"),
    Notice("增刊：可信数据空间案例集", "案例集收录十二个地方的做法，可在网页版阅读。", ("frontier", "company")),
    Notice(
        "数据标注产业交流活动",
        "交流活动改为线上举行，入口见[通知页](https://www.example.com/online)。",
        ("industry", "company"),
    ),
    Notice("假期期间的出刊安排", "假期前后各出一期，日期见网页版目录。"),
)  # fmt: skip
#: Was stopped in the middle; goes out tomorrow; waits for a second person; is still being written.
STOPPED = Notice(
    "地方数据条例汇编上线",
    "汇编按地区与主题排列，[在线查阅](https://www.example.com/laws)。",
    ("policy", "local"),
)
TOMORROW = Notice(
    "明日专题直播提醒", "直播将于明日 14 时开始，[入口](https://www.example.com/live)届时开放。"
)
URGENT = Notice(
    "今日网页版部分链接无法打开",
    "受机房检修影响，今日 15 时前往期链接可能无法打开；邮件正文不受影响。",
    urgent=True,
)
DRAFT = Notice("十二月选题预告", "下一期拟选编三篇：\n\n- 数据质量评价\n- 电子证照互认\n- 数字乡村")


def number_of(total: int) -> int:
    """Within its year, counted so that the sample's eighth issue is the 112th of all."""
    return (total - 105) % 24 + 1


def issue(total: int, day: dt.date, lots: Random) -> str:
    """An issue as a file: ten to thirteen articles."""
    contents, articles, page = [], [], 1
    for section, templates in _TITLES.items():
        contents.append(f"### {section}\n")
        listed = []
        for template in lots.sample(templates, lots.choice((2, 2, 3))):
            words = _words(day, lots)
            title = template.format(**words)
            listed.append(f"- {page:02} {title}")
            text = "\n\n".join(lots.choice(part).format(**words) for part in (_OPENINGS, _MIDDLES, _ENDINGS))
            articles.append(
                f"## 编者按\n\n{lots.choice(_NOTES)}\n\n# {title}\n\n{text}（来源：{lots.choice(_SOURCES)}）\n"
            )
            page += lots.randint(2, 4)
        contents.append("\n".join(listed) + "\n")
    cover = _COVER.format(day=day, number=number_of(total), total=total)
    return "\n".join((cover, *contents, *articles))


def faulty_issue(total: int, day: dt.date, lots: Random) -> str:
    """An issue handed in by somebody in a hurry: a title unlike the contents page, one missing, a source left open."""
    text = issue(total, day, lots)
    front, *articles = text.split("## 编者按\n")
    first = articles[0].split("\n# ", 1)
    articles[0] = f"{first[0]}\n# 一个与要目完全不同的题目\n{first[1].partition(chr(10))[2]}"
    articles[3] = articles[3].replace("（来源：", "(来源:").replace("）\n", "\n")
    del articles[5]
    return "## 编者按\n".join((front, *articles))


def _words(day: dt.date, lots: Random) -> dict[str, object]:
    return {
        "topic": lots.choice(_TOPICS),
        "city": lots.choice(_CITIES),
        "technique": lots.choice(_TECHNIQUES),
        "company": lots.choice(_COMPANIES),
        "number": lots.randrange(24, 400, 4),
        "year": day.year,
    }
