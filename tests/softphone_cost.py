"""What the softphone costs: `python tests/softphone_cost.py` tells its weight, and the CPU of a running call.

Needs Chromium (tests/system-packages.txt) and Linux. A call of the sample caller, a scripted provider; CPU
time of all of the browser's processes, in percent of one core. Without a GPU drawing is counted in full.
"""

import asyncio
import gzip
import os
import shutil
import sys
import tempfile
from pathlib import Path

from browsers import ROOT, chromium, quick_script, softphone
from playwright.async_api import Browser

MEASURED_S = 12.0
STATIC = ROOT / "voicegw" / "web" / "static"


def weight() -> tuple[int, int, int]:
    """Files of the page, their bytes, and the bytes that go over the wire."""
    files = [path for path in STATIC.rglob("*.*") if not path.name.startswith("upload")]
    return (
        len(files),
        sum(p.stat().st_size for p in files),
        sum(len(gzip.compress(p.read_bytes(), 9)) for p in files),
    )


def cpu_s() -> float:
    """CPU time so far of the browser's processes, which this one has started."""
    parents: dict[int, int] = {}
    ticks: dict[int, int] = {}
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            fields = (entry / "stat").read_text().rsplit(")", 1)[1].split()
            browser = "chrom" in (entry / "cmdline").read_text()
        except (OSError, IndexError):
            continue
        parents[int(entry.name)] = int(fields[1])
        ticks[int(entry.name)] = int(fields[11]) + int(fields[12]) if browser else 0
    total = 0
    for pid, used in ticks.items():
        at = pid
        while at in parents and at != os.getpid():
            at = parents[at]
        total += used if at == os.getpid() else 0
    return total / os.sysconf("SC_CLK_TCK")


async def share(browser: Browser, folder: Path, *, calls: bool) -> float:
    """CPU of the browser with the page open, or within a call, in percent of one core."""
    script = quick_script(speech_ms=lambda text: 60.0 * len(text))
    async with softphone(browser, folder, script, listens=False) as (page, _):
        if calls:
            await page.click("#sample")
            await page.wait_for_selector(".turn.agent .spoken")
        await asyncio.sleep(1.0)
        loop = asyncio.get_running_loop()
        began, before = loop.time(), cpu_s()
        await asyncio.sleep(MEASURED_S)
        return 100 * (cpu_s() - before) / (loop.time() - began)


async def main() -> None:
    files, whole, packed = weight()
    print(f"weight: {packed / 1000:.0f} kB over the wire, {whole / 1000:.0f} kB unpacked, {files} files")
    program = shutil.which("chromium")
    if program is None:
        sys.exit("chromium is missing: apt-get install chromium")
    with tempfile.TemporaryDirectory() as folder:
        async with chromium(program, None) as browser:
            print(f"page open: {await share(browser, Path(folder, 'idle'), calls=False):.1f} % of one core")
            print(f"in a call: {await share(browser, Path(folder, 'call'), calls=True):.1f} % of one core")


if __name__ == "__main__":
    asyncio.run(main())
