import pytest

from sources.camera.rtp import REPORT_S, LiveFrame, RtpStream, ntp_time
from tests.sources.camera.receiving import report, rtp


def frame(*payloads, at=100.0, timestamp=9):
    return LiveFrame(payloads, True, timestamp, at)


def test_packets_carry_their_payloads_numbered_without_a_gap_and_the_last_is_marked():
    stream = RtpStream(0xABCD, 0xFFFE)
    packets = [rtp(each) for each in stream.packets(frame(b"a", b"b", b"c", timestamp=2**32 - 1)).media]
    packets += [rtp(each) for each in stream.packets(frame(b"d", timestamp=5)).media]
    assert [each.payload for each in packets] == [b"a", b"b", b"c", b"d"]
    assert [each.sequence for each in packets] == [0xFFFE, 0xFFFF, 0, 1]
    assert stream.sequence == 2
    assert [each.marker for each in packets] == [False, False, True, True]
    assert [each.timestamp for each in packets] == [2**32 - 1] * 3 + [5]
    assert {(each.kind, each.ssrc) for each in packets} == {(96, 0xABCD)}


def test_a_report_goes_before_the_first_frame_and_then_every_few_seconds():
    stream = RtpStream(1, 0)
    times = [0.0, 1.0, REPORT_S - 0.1, REPORT_S, REPORT_S + 1, 2 * REPORT_S + 0.5]
    reported = [stream.packets(frame(b"a", at=at)).report is not None for at in times]
    assert reported == [True, False, False, True, False, True]


def test_a_wall_clock_that_was_set_back_does_not_end_the_reports():
    stream = RtpStream(1, 0)
    assert stream.packets(frame(b"a", at=1e6)).report
    assert stream.packets(frame(b"a", at=1e3)).report


def test_a_report_says_when_the_frame_was_taken_and_what_was_sent_before_it():
    stream = RtpStream(7, 0)
    stream.packets(frame(b"abc", b"de", at=0.0))
    told = report(stream.packets(frame(b"f", at=1234.75, timestamp=99)).report)
    assert (told.ssrc, told.timestamp, told.packets, told.octets) == (7, 99, 2, 5)
    assert told.unix_s == 1234.75


@pytest.mark.parametrize(
    ("unix_s", "seconds", "fraction"),
    [(0.0, 2208988800, 0), (0.5, 2208988800, 2**31), (2085978496.25, 0, 2**30)],
)
def test_ntp_counts_from_1900_and_wraps_in_2036(unix_s, seconds, fraction):
    assert divmod(ntp_time(unix_s), 2**32) == (seconds, fraction)
