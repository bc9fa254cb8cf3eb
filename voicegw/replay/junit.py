"""Results as JUnit XML, which every CI server shows: a suite a call, a case an expectation."""

from collections.abc import Sequence
from xml.etree import ElementTree

from voicegw.replay.batch import Done
from voicegw.replay.result import CallResult


def junit(dones: Sequence[Done]) -> str:
    """Return the XML of all results."""
    root = ElementTree.Element("testsuites", name="voicegw replay")
    for done in dones:
        root.append(_suite(done.result))
    ElementTree.indent(root)
    return '<?xml version="1.0" encoding="utf-8"?>\n' + ElementTree.tostring(root, "unicode") + "\n"


def _suite(result: CallResult) -> ElementTree.Element:
    suite = ElementTree.Element(
        "testsuite",
        name=result.sample,
        tests=str(max(1, len(result.checks))),
        failures=str(len(result.failed)),
        skipped=str(len(result.skipped)),
        errors=str(int(bool(result.error))),
        time=f"{result.call_ms / 1000:.3f}",
    )
    if result.error:
        case = ElementTree.SubElement(suite, "testcase", classname=result.sample, name="is replayed")
        ElementTree.SubElement(case, "error", message=_printable(result.error))
    for check in result.checks:
        name = f"{check.where}: {check.what}: {check.wanted}"
        case = ElementTree.SubElement(suite, "testcase", classname=result.sample, name=_printable(name))
        if check.skipped:
            ElementTree.SubElement(case, "skipped", message="no judge's model is configured")
        elif not check.ok:
            ElementTree.SubElement(case, "failure", message=_printable(str(check)))
    return suite


def _printable(text: str) -> str:
    """XML knows no control characters."""
    return "".join(letter if letter.isprintable() else " " for letter in text)
