"""Days as callers say them, to calendar dates; and never a guess."""

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voicegw.call.dates import date_of, written
from voicegw.call.settings import SpeechSettings
from voicegw.call.spoken_form import SpokenForm

TODAY = date(2026, 11, 25)  # a Wednesday


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("mười lăm tháng ba", "2027-03-15"),
        ("dạ ngày mười lăm tháng ba ạ", "2027-03-15"),
        ("15 tháng 3", "2027-03-15"),
        ("ngày 15 tháng 3 năm 2028", "2028-03-15"),
        ("mùng một tháng mười hai", "2026-12-01"),
        ("mùng 1 tháng giêng", "2027-01-01"),
        ("hai mươi mốt tháng mười hai", "2026-12-21"),
        ("hăm lăm tháng tư", "2027-04-25"),
        ("ngày năm tháng năm năm hai nghìn không trăm hai mươi bảy", "2027-05-05"),
        ("sinh ngày hai ba tháng chín năm một chín tám lăm", "1985-09-23"),
        ("15/3", "2027-03-15"),
        ("ngày 4/12/2026 nha em", "2026-12-04"),
        ("23/9/85", "1985-09-23"),
        ("1503", "2027-03-15"),  # keys
        ("23091985", "1985-09-23"),
        ("hôm nay", "2026-11-25"),
        ("chiều mai nhé", "2026-11-26"),
        ("ngày mốt", "2026-11-27"),
        ("ngày kia", "2026-11-27"),
        ("ba ngày nữa", "2026-11-28"),
        ("hai tuần nữa", "2026-12-09"),
        ("sau 5 ngày", "2026-11-30"),
        ("thứ sáu", "2026-11-27"),
        ("thứ sáu tuần này", "2026-11-27"),
        ("thứ sáu tuần sau", "2026-12-04"),
        ("thứ 6 tuần tới", "2026-12-04"),
        ("tuần sau thứ sáu", "2026-12-04"),
        ("sang tuần thứ ba nhé", "2026-12-01"),
        ("tuần này thứ sáu", "2026-11-27"),
        ("thứ hai", "2026-11-30"),
        ("thứ tư", "2026-12-02"),  # today is one: then people say "today"
        ("chủ nhật tuần này", "2026-11-29"),
        ("thứ ba tuần sau nữa", "2026-12-08"),
        ("thứ sáu tuần trước", "2026-11-20"),
        ("thứ sáu ngày 4 tháng 12", "2026-12-04"),
        ("ngày 30", "2026-11-30"),
        ("ngày mười tháng sau", "2026-12-10"),
        ("ngày hai mươi", "2026-12-20"),
        ("thứ sáu, à không, thứ bảy", "2026-11-28"),
        ("thu sau tuan sau", "2026-12-04"),
        ("muoi lam thang ba", "2027-03-15"),
        ("ngay mai", "2026-11-26"),
        # In doubt there is no answer.
        ("mười lăm tháng giêng âm lịch", ""),
        ("thứ bảy ngày 4 tháng 12", ""),
        ("thứ sáu hoặc thứ bảy", ""),
        ("ba mươi tháng hai", ""),
        ("31/2", ""),
        ("tuần sau", ""),
        ("tháng sau", ""),
        ("em chưa biết nữa", ""),
        ("giá hai triệu năm", ""),
        ("", ""),
    ],
)
def test_vietnamese_days(text: str, expected: str) -> None:
    found = date_of(text, "vi", TODAY)
    assert (found.isoformat() if found else "") == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("March 15th", "2027-03-15"),
        ("March fifteenth", "2027-03-15"),
        ("the fifteenth of March", "2027-03-15"),
        ("It's the 15th of March, 2028.", "2028-03-15"),
        ("December fourth, twenty twenty-six", "2026-12-04"),
        ("the twenty-first of May", "2027-05-21"),
        ("May the fourth", "2027-05-04"),
        ("Dec 4", "2026-12-04"),
        ("September twenty third nineteen eighty five", "1985-09-23"),
        ("March 15th at 5 pm", "2027-03-15"),
        ("3/15", "2027-03-15"),
        ("12/4/2026", "2026-12-04"),
        ("15/3", "2027-03-15"),
        ("2026-12-04", "2026-12-04"),
        ("today", "2026-11-25"),
        ("Tomorrow afternoon, please.", "2026-11-26"),
        ("the day after tomorrow", "2026-11-27"),
        ("in three days", "2026-11-28"),
        ("two weeks from now", "2026-12-09"),
        ("in a week", "2026-12-02"),
        ("Friday", "2026-11-27"),
        ("this Friday", "2026-11-27"),
        ("next Friday", "2026-12-04"),
        ("Friday next week", "2026-12-04"),
        ("a week on Friday", "2026-12-04"),
        ("next week on Monday", "2026-11-30"),
        ("last Friday", "2026-11-20"),
        ("Friday, December 4th", "2026-12-04"),
        ("the twentieth", "2026-12-20"),
        ("Friday the 4th", "2026-12-04"),
        ("on the second", "2026-12-02"),
        ("the first of next month", "2026-12-01"),
        ("Friday. Sorry, Saturday.", "2026-11-28"),
        ("Saturday, December 4th", ""),
        ("Friday or Saturday", ""),
        ("February 30th", ""),
        ("next week", ""),
        ("I may come with two friends", ""),
        ("one of my orders", ""),
        ("I don't know yet", ""),
        ("just a second", ""),
        ("at first I thought of something else", ""),
    ],
)
def test_english_days(text: str, expected: str) -> None:
    found = date_of(text, "en", TODAY)
    assert (found.isoformat() if found else "") == expected


def test_figures_are_read_as_the_country_writes_them() -> None:
    assert date_of("3/4", "en", TODAY) == date(2027, 3, 4)
    assert date_of("3/4", "en-GB", TODAY) == date(2027, 4, 3)


@given(
    st.dates(date(2020, 1, 1), date(2090, 12, 31)),
    st.integers(-20_000, 20_000),
    st.sampled_from(["vi", "vi-south", "en", "en-GB"]),
)
def test_what_is_read_back_names_the_same_day(today: date, away: int, language: str) -> None:
    """Written, and as it is spoken: a read-back that named another day would be worse than none."""
    day = min(max(today + timedelta(days=away), date(1920, 1, 1)), date(2099, 12, 31))
    text = written(day, language, today)
    assert date_of(text, language, today) == day
    spoken = SpokenForm.of(language, SpeechSettings()).say(text).spoken
    assert not any(c.isdigit() for c in spoken)
    assert date_of(spoken, language, today) == day


@given(st.text(max_size=60), st.sampled_from(["vi", "en", "en-GB"]))
def test_any_text_is_read_or_not(text: str, language: str) -> None:
    """Transcripts hold anything."""
    found = date_of(text, language, TODAY)
    assert found is None or 1900 <= found.year <= 2200
