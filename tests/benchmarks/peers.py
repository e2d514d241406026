"""What the service is compared with, on the same messages and the same sink.

`smtp_source`: Postfix's generator in C, no rendering. `pool`: plain aiosmtplib clients with a prepared message and no
ledger. `naive`: Jinja2, EmailMessage and aiosmtplib for each recipient. The last two run as their own process
(`python -m tests.benchmarks.peers KIND PORT NUMBER CONNECTIONS`, the message on standard input): time and memory
are theirs alone. Caller: the benchmark's main.
"""

import asyncio
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import aiosmtplib
import jinja2
import uvloop
from tests.benchmarks.sink import postfix_tool


def smtp_source(port: int, *, number: int, size: int, connections: int) -> dict[str, Any]:
    """Args: size: of a message, octets."""
    command = [postfix_tool("smtp-source"), "-d", "-s", str(connections), "-m", str(number), "-l", str(size)]
    began = time.perf_counter()
    process = subprocess.Popen([*command, f"127.0.0.1:{port}"])
    peak = 0
    while os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT | os.WNOHANG) is None:
        peak = max(peak, peak_kib(process.pid))
        time.sleep(0.01)
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - began
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"smtp-source ended with {process.returncode}")
    return _result(number, seconds, usage.ru_utime + usage.ru_stime, peak)


def pool(port: int, *, number: int, message: bytes, connections: int) -> dict[str, Any]:
    """Plain aiosmtplib clients, the message ready made."""
    return _run("pool", port, number, connections, message)


def naive(port: int, *, number: int, html: str, text: str, connections: int) -> dict[str, Any]:
    """Args: html, text: Jinja2 templates with `name`, `address` and `link`."""
    return _run("naive", port, number, connections, json.dumps({"html": html, "text": text}).encode())


def _run(kind: str, port: int, number: int, connections: int, content: bytes) -> dict[str, Any]:
    command = [sys.executable, "-m", "tests.benchmarks.peers", kind, str(port), str(number), str(connections)]
    done = subprocess.run(command, input=content, stdout=subprocess.PIPE, check=True)
    measured: dict[str, Any] = json.loads(done.stdout)
    return measured


def peak_kib(process: int) -> int:
    """Peak resident memory. `ru_maxrss` would be the parent's, where that is more: it survives exec."""
    with open(f"/proc/{process}/status", encoding="ascii") as file:  # noqa: PTH123  # not a file of ours
        return next((int(line.split()[1]) for line in file if line.startswith("VmHWM:")), 0)


def cpu_seconds_with_children(process: int) -> float:
    """What a process and its children that are alive have spent."""
    spent = 0.0
    for each in Path("/proc").glob("[0-9]*"):
        with suppress(OSError, ValueError):  # it has ended meanwhile
            told = (each / "stat").read_text().rpartition(")")[2].split()
            if process in (int(told[1]), int(each.name)):
                spent += (int(told[11]) + int(told[12])) / os.sysconf("SC_CLK_TCK")
    return spent


def _result(number: int, seconds: float, cpu: float, rss_kib: int) -> dict[str, Any]:
    return {
        "rate": round(number / seconds),
        "cpu_us": round(cpu / number * 1e6, 1),
        "rss_mib": round(rss_kib / 1024, 1),
    }


async def _pool(port: int, number: int, connections: int, message: bytes) -> None:
    left = iter(range(number))

    async def client() -> None:
        async with aiosmtplib.SMTP(hostname="127.0.0.1", port=port, start_tls=False) as smtp:
            for n in left:
                await smtp.sendmail(f"b+{n}@bounce.example", [f"reader{n}@readers.example"], message)

    await asyncio.gather(*(client() for _ in range(connections)))


async def _naive(port: int, number: int, connections: int, html: str, text: str) -> None:
    html_template = jinja2.Environment(autoescape=True).from_string(html)
    text_template = jinja2.Environment(autoescape=False).from_string(text)  # noqa: S701  # plain text

    def messages() -> Iterator[EmailMessage]:
        for n in range(number):
            link = f"https://news.example.cn/u/v1.a.{n:024x}.{n:020x}"
            context = {"name": f"读者{n}", "address": f"reader{n}@readers.example", "link": link}
            message = EmailMessage()
            message["From"] = "大数据发展动态 <digest@news.example.cn>"
            message["To"] = f"读者{n} <reader{n}@readers.example>"
            message["Subject"] = "大数据发展动态"
            message["Message-ID"] = f"<{n}.1@news.example.cn>"
            message["List-Unsubscribe"] = f"<{link}>"
            message["List-Unsubscribe-Post"] = "List-Unsubscribe=One-Click"
            message.set_content(text_template.render(context), cte="8bit")
            message.add_alternative(html_template.render(context), subtype="html", cte="8bit")
            yield message

    left = messages()

    async def client() -> None:
        async with aiosmtplib.SMTP(hostname="127.0.0.1", port=port, start_tls=False) as smtp:
            for message in left:
                await smtp.send_message(message)

    await asyncio.gather(*(client() for _ in range(connections)))


def _main() -> None:
    kind, (port, number, connections) = sys.argv[1], map(int, sys.argv[2:5])
    content = sys.stdin.buffer.read()
    cpu, began = time.process_time(), time.perf_counter()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        if kind == "pool":
            runner.run(_pool(port, number, connections, content))
        else:
            runner.run(_naive(port, number, connections, **json.loads(content)))
    seconds, cpu = time.perf_counter() - began, time.process_time() - cpu
    print(json.dumps(_result(number, seconds, cpu, peak_kib(os.getpid()))))  # noqa: T201


if __name__ == "__main__":
    _main()
