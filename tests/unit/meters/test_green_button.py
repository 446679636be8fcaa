"""Green Button files: real ones give the sums of their XML, broken ones are refused by name and place."""

import datetime
import io
import pathlib
from xml.etree import ElementTree

import numpy as np
import pytest

from meters.adapters import espi, green_button
from meters.domain import delivery, units

SAMPLES = pathlib.Path(__file__).parents[2] / "data" / "meter" / "green_button"
ESPI = "{http://naesb.org/espi}"
WITH_READINGS = [
    "gb_cew821_sample.xml",
    "gb_openespi_15minLP_15Days.xml",
    "gb_openespi_1hrLP_32Days.xml",
    "gb_openespi_Electric.xml",
    "gb_openespi_MonthlyOnlyElectricData.xml",
    "gb_verdigris_BulkSCEUsageSummaryAndIntervalBlock.xml",
]
WITHOUT_READINGS = [
    "gb_verdigris_ESPIAuthorization.xml",
    "gb_verdigris_ESPIElectricPowerUsageSummary.xml",
    "gb_verdigris_PGELocalTimeParameters.xml",
    "gb_verdigris_PGEUsagePoint.xml",
]
START = 1_330_578_000  # 2012-03-01 00:00 in New York


def read(text: str | bytes) -> delivery.Delivery:
    return green_button.read(stream=io.BytesIO(text.encode() if isinstance(text, str) else text))


def refused(text: str | bytes) -> espi.UnableToReadGreenButton:
    with pytest.raises(espi.UnableToReadGreenButton) as caught:
        read(text)
    return caught.value


def entry(resource: str, *, own: str, up: str = "", related: tuple[str, ...] = ()) -> str:
    links = f'<link rel="self" href="{own}"/><link rel="up" href="{up}"/>'
    links += "".join(f'<link rel="related" href="{href}"/>' for href in related)
    return f"<entry><id>{own}</id>{links}<content>{resource}</content></entry>"


def espi_element(name: str, content: str = "") -> str:
    return f'<{name} xmlns="http://naesb.org/espi">{content}</{name}>'


def reading(start: int, value: int, *, seconds: int = 900, quality: int | None = None) -> str:
    stated = f"<ReadingQuality><quality>{quality}</quality></ReadingQuality>" if quality is not None else ""
    return (
        f"<IntervalReading>{stated}<timePeriod><duration>{seconds}</duration><start>{start}</start></timePeriod>"
        f"<value>{value}</value></IntervalReading>"
    )


def usage_point(number: str, *, flows: tuple[int, ...] = (1,), kind: int = 0) -> str:
    """Return a usage point with a meter reading and a reading type for each flow, without blocks."""
    text = entry(
        espi_element("UsagePoint", f"<ServiceCategory><kind>{kind}</kind></ServiceCategory>"),
        own=f"UsagePoint/{number}",
    )
    for flow in flows:
        address = f"UsagePoint/{number}/MeterReading/{flow}"
        text += entry(
            espi_element("MeterReading"),
            own=address,
            up=f"UsagePoint/{number}/MeterReading",
            related=(f"{address}/IntervalBlock", f"ReadingType/{flow}"),
        )
    return text


def reading_type(flow: int, *, multiplier: int = 0, uom: int = 72, accumulation: int = 4) -> str:
    return entry(
        espi_element(
            "ReadingType",
            f"<accumulationBehaviour>{accumulation}</accumulationBehaviour><flowDirection>{flow}</flowDirection>"
            f"<intervalLength>900</intervalLength><powerOfTenMultiplier>{multiplier}</powerOfTenMultiplier>"
            f"<uom>{uom}</uom>",
        ),
        own=f"ReadingType/{flow}",
    )


def block(number: str, flow: int, readings: str, *, which: int = 1) -> str:
    address = f"UsagePoint/{number}/MeterReading/{flow}/IntervalBlock"
    return entry(espi_element("IntervalBlock", readings), own=f"{address}/{which}", up=address)


def feed(*entries: str) -> str:
    return f'<feed xmlns="http://www.w3.org/2005/Atom"><id>x</id>{"".join(entries)}</feed>'


@pytest.mark.parametrize("name", WITH_READINGS)
def test_sums_are_those_of_a_walk_of_the_xml(name: str) -> None:
    root = ElementTree.parse(SAMPLES / name).getroot()
    walked = [
        (int(found.findtext(f"{ESPI}timePeriod/{ESPI}start", "")), int(found.findtext(f"{ESPI}value", "")))
        for found in root.iter(f"{ESPI}IntervalReading")
    ]
    power = int(next(root.iter(f"{ESPI}powerOfTenMultiplier")).text or "")

    (channel,) = read((SAMPLES / name).read_bytes()).channels

    came = [(int(s), int(v)) for one in channel.series for s, v in zip(one.starts, one.milli_units, strict=True)]
    came += [(period.starts, period.milli_units) for period in channel.periods]
    assert sorted(came) == sorted((start, value * 10 ** (power + 3)) for start, value in walked)
    assert (channel.flow, channel.unit) == (units.Flow.DELIVERED, units.Unit.WATT_HOUR)


@pytest.mark.parametrize("name", WITHOUT_READINGS)
def test_files_about_other_things_hold_no_readings(name: str) -> None:
    assert read((SAMPLES / name).read_bytes()).intervals == 0


def test_misplaced_elements_of_a_real_utility_are_taken_with_a_warning() -> None:
    delivered = read((SAMPLES / "gb_verdigris_BulkSCEUsageSummaryAndIntervalBlock.xml").read_bytes())

    assert delivered.intervals == 3
    assert delivered.warnings[0].startswith(
        "/feed/entry[2]/content/UsagePoint, line 28: Element 'ServiceDeliveryPoint': This element is not expected."
    )


def test_daylight_saving_day_of_the_real_file_has_92_readings() -> None:
    (channel,) = read((SAMPLES / "gb_openespi_15minLP_15Days.xml").read_bytes()).channels
    (series,) = channel.series
    utc = datetime.UTC
    first = datetime.datetime(2012, 3, 11, 5, tzinfo=utc).timestamp()
    after = datetime.datetime(2012, 3, 12, 4, tzinfo=utc).timestamp()

    assert int(((series.starts >= first) & (series.starts < after)).sum()) == 92


def test_several_usage_points_with_reverse_flow_at_the_same_times() -> None:
    text = feed(
        usage_point("A", flows=(1, 19)),
        usage_point("B"),
        block("A", 1, reading(START, 100) + reading(START + 900, 200)),
        block("A", 19, reading(START, 7) + reading(START + 900, 8)),
        block("B", 1, reading(START, 5, quality=8)),
        reading_type(1),
        reading_type(19, multiplier=3),
    )

    delivered = read(text)

    assert [(c.usage_point, c.flow, c.series[0].milli_units.tolist()) for c in delivered.channels] == [
        ("UsagePoint/A", units.Flow.DELIVERED, [100_000, 200_000]),
        ("UsagePoint/A", units.Flow.RECEIVED, [7_000_000, 8_000_000]),
        ("UsagePoint/B", units.Flow.DELIVERED, [5_000]),
    ]
    assert delivered.channels[2].series[0].qualities.tolist() == [units.Quality.ESTIMATED]
    assert delivered.warnings == ()


def test_later_reading_of_the_same_interval_holds_with_a_warning() -> None:
    delivered = read(
        feed(usage_point("A"), reading_type(1), block("A", 1, reading(START, 1)), block("A", 1, reading(START, 2)))
    )

    assert delivered.channels[0].series[0].milli_units.tolist() == [2000]
    assert delivered.warnings == (
        "UsagePoint/A/MeterReading/1: 1 intervals were delivered more than once; the later value holds.",
    )


def test_coarser_copy_of_the_same_energy_does_not_count() -> None:
    copy = entry(
        espi_element("MeterReading"),
        own="UsagePoint/A/MeterReading/copy",
        up="UsagePoint/A/MeterReading",
        related=("ReadingType/1",),
    )
    copied = entry(
        espi_element("IntervalBlock", reading(START, 10, seconds=3600)),
        own="UsagePoint/A/MeterReading/copy/IntervalBlock/1",
        up="UsagePoint/A/MeterReading/copy/IntervalBlock",
    )
    quarters = "".join(reading(START + 900 * i, 2 + i % 2) for i in range(4))

    delivered = read(feed(usage_point("A"), copy, reading_type(1), copied, block("A", 1, quarters)))

    assert [(c.key, c.is_counted, c.series[0].interval_seconds) for c in delivered.channels] == [
        ("", True, 900),
        ("2/3600s", False, 3600),
    ]


def test_readings_without_their_own_length_take_the_reading_types() -> None:
    bare = f"<IntervalReading><timePeriod><start>{START}</start></timePeriod><value>9</value></IntervalReading>"

    # The schema wants a duration, so this is what a utility gets wrong; the reading itself is clear.
    (channel,) = read(feed(usage_point("A"), reading_type(1), block("A", 1, bare))).channels

    assert channel.series[0].interval_seconds == 900
    assert channel.series[0].milli_units.tolist() == [9000]


@pytest.mark.parametrize(
    ("kind", "uom", "accumulation", "warning"),
    [
        (1, 72, 4, "UsagePoint/A is not an electricity service; its readings are left out."),
        (0, 169, 4, "UsagePoint/A/MeterReading/1 is left out: uom 169, flowDirection 1, per interval."),
        (0, 72, 1, "UsagePoint/A/MeterReading/1 is left out: uom 72, flowDirection 1, a running register."),
    ],
)
def test_what_is_no_electricity_per_interval_is_left_out_by_name(
    kind: int, uom: int, accumulation: int, warning: str
) -> None:
    delivered = read(
        feed(
            usage_point("A", kind=kind),
            reading_type(1, uom=uom, accumulation=accumulation),
            block("A", 1, reading(START, 1)),
        )
    )

    assert delivered.channels == ()
    assert delivered.warnings == (warning,)


def test_template_that_is_no_feed_is_refused_by_name() -> None:
    error = refused((SAMPLES / "gb_openespi_BAD_template.xml").read_bytes())

    assert error.code == "green_button_not_a_feed"
    assert error.detail.startswith("The root element is xyz, line 53;")


def test_truncated_file_is_refused() -> None:
    whole = (SAMPLES / "gb_openespi_15minLP_15Days.xml").read_bytes()

    error = refused(whole[: len(whole) // 2])

    assert error.code == "green_button_truncated"
    assert error.detail.startswith("Not well-formed XML at line ")


@pytest.mark.parametrize(
    "text", [b"", b"<feed", b"not xml", b"<feed xmlns='http://www.w3.org/2005/Atom'><a></b></feed>"]
)
def test_malformed_file_is_refused(text: bytes) -> None:
    assert refused(text).code in {"green_button_malformed", "green_button_truncated"}


def test_oversized_file_is_refused_without_reading_it_whole() -> None:
    class Endless(io.RawIOBase):
        served = 0

        def read(self, size: int = -1) -> bytes:
            self.served += 65536
            return b"<feed xmlns='http://www.w3.org/2005/Atom'>" if self.served == 65536 else b" " * 65536

    stream = Endless()
    with pytest.raises(espi.UnableToReadGreenButton, match="larger than 1000000 bytes") as caught:
        green_button.read(stream=stream, max_bytes=1_000_000)  # type: ignore[arg-type]

    assert caught.value.code == "green_button_too_large"
    assert stream.served < 3_000_000


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_entity_bomb_is_refused_unexpanded(encoding: str) -> None:
    bomb = f"<?xml version='1.0' encoding='{encoding}'?><!DOCTYPE feed [<!ENTITY a 'aaaaaaaaaa'>"
    bomb += "".join(f"<!ENTITY a{i} '&a{i - 1 if i else ''};&a{i - 1 if i else ''};'>" for i in range(60))
    bomb += "]><feed xmlns='http://www.w3.org/2005/Atom'>&a59;</feed>"

    assert refused(bomb.encode(encoding)).code == "green_button_document_type"


def test_external_entity_is_not_fetched(tmp_path: pathlib.Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("4711")
    text = (
        f"<!DOCTYPE feed [<!ENTITY x SYSTEM '{secret.as_uri()}'>]><feed xmlns='http://www.w3.org/2005/Atom'>&x;</feed>"
    )

    error = refused(text)

    assert error.code == "green_button_document_type"
    assert "4711" not in error.detail


def test_document_type_behind_a_long_comment_is_refused() -> None:
    text = f"<!--{'-x' * 200_000}--><!DOCTYPE feed><feed xmlns='http://www.w3.org/2005/Atom'><entry/></feed>"

    assert refused(text).code == "green_button_document_type"


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("<feed xmlns='http://www.w3.org/2005/Atom/'><entry/></feed>", "The root element is feed"),
        (
            feed(entry("<IntervalBlock xmlns='http://naesb.org/espi2'/>", own="x")),
            "/feed/entry[1]/content/IntervalBlock is in the namespace http://naesb.org/espi2, line 1",
        ),
        (feed(entry("<UsagePoint xmlns=''/>", own="x")), "/feed/entry[1]/content/UsagePoint is in the namespace none"),
    ],
)
def test_wrong_namespace_is_refused_with_its_place(text: str, place: str) -> None:
    error = refused(text)

    assert error.code == "green_button_wrong_namespace"
    assert error.detail.startswith(place)


@pytest.mark.parametrize(
    ("readings", "code", "detail"),
    [
        (reading(START, 1).replace("<value>1<", "<value>one<"), "green_button_value", "IntervalBlock, line 1: Element"),
        (
            reading(START, 1).replace("<value>1</value>", ""),
            "green_button_incomplete",
            "/feed/entry[4]/content/IntervalBlock/IntervalReading[1] has no value, line 1.",
        ),
        (
            reading(START, 1) + reading(START + 60, 1),
            "green_button_overlap",
            "The interval at 2012-03-01T05:01:00Z overlaps the one before it.",
        ),
    ],
)
def test_readings_that_are_none_are_refused_with_their_place(readings: str, code: str, detail: str) -> None:
    error = refused(feed(usage_point("A"), reading_type(1), block("A", 1, readings)))

    assert error.code == code
    assert detail in error.detail


def test_values_finer_than_a_thousandth_are_refused() -> None:
    text = feed(usage_point("A"), reading_type(1, multiplier=-6), block("A", 1, reading(START, 1)))

    assert refused(text).detail == (
        "/feed/entry[4]/content/IntervalBlock: powerOfTenMultiplier -6 is finer than a thousandth of the unit."
    )


@pytest.mark.parametrize(
    ("changes", "detail"),
    [
        ({"value": 2**47 - 1}, "more than a meter counts"),
        ({"multiplier": 25, "value": 0}, "powerOfTenMultiplier 25 is none"),
        ({"multiplier": -30, "value": 0}, "powerOfTenMultiplier -30 is none"),
        ({"start": 99_999_999_999_999}, "not of the years 1970 to 2088"),
        ({"start": -62_135_600_000}, "not of the years 1970 to 2088"),
        ({"start": 99_999_999_999_999, "seconds": 86_400}, "not of the years 1970 to 2088"),
    ],
)
def test_numbers_that_no_meter_has_are_refused(changes: dict[str, int], detail: str) -> None:
    asked = {"start": START, "value": 1, "seconds": 900, "multiplier": 0} | changes
    kind = reading_type(1, multiplier=asked["multiplier"])
    one = reading(asked["start"], asked["value"], seconds=asked["seconds"])

    error = refused(feed(usage_point("A"), kind, block("A", 1, one)))

    assert error.code == "green_button_value"
    assert detail in error.detail


def test_large_values_are_exact() -> None:
    value = 10**12

    (channel,) = read(feed(usage_point("A"), reading_type(1), block("A", 1, reading(START, value)))).channels

    assert channel.series[0].milli_units.tolist() == [value * 1000]
    assert channel.series[0].milli_units.dtype == np.int64
