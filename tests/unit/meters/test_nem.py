"""NEM12 and NEM13: every sample gives its file's sums, broken ones are refused by record and line."""

import collections
import csv
import io
import pathlib
import zipfile

import nemreader
import pytest

from meters.adapters import nem
from meters.domain import delivery, units

SAMPLES = pathlib.Path(__file__).parents[2] / "data" / "meter" / "nem"
FILES = sorted(SAMPLES.glob("*/*"))
BROKEN = {"NEM12#Scenario10#ETSAMDP#NEMMCO.zip"}  # a 300 record is torn in two lines
DAY = "300,20240401," + ",".join(["1.5"] * 48) + ",A,,,20240402000000,\n"
HEAD = "100,NEM12,202404020000,MDP,RET\n200,NMI1,E1,1,E1,N1,METER,kWh,30,\n"


def read(text: str) -> delivery.Delivery:
    return nem.read(content=text.encode())


def test_there_are_all_samples() -> None:
    assert len(FILES) == 106


@pytest.mark.parametrize("path", [path for path in FILES if path.name not in BROKEN], ids=lambda path: path.name)
def test_sums_are_those_of_a_walk_of_the_records(path: pathlib.Path) -> None:
    content = path.read_bytes()
    text = content.decode("utf-8-sig") if path.suffix == ".csv" else _inside(content)
    walked: dict[tuple[str, str], float] = collections.defaultdict(float)
    days: dict[tuple[str, str, str], float] = {}
    factor, name, count = 0.0, ("", ""), 0
    for row in csv.reader(io.StringIO(text)):
        if row and row[0] == "200":
            factor = {"KWH": 1, "KVARH": 1, "WH": 0.001, "VARH": 0.001}.get(row[7].strip().upper(), 0)
            name, count = (row[1].strip(), row[4].strip()), 1440 // int(row[8])
        elif row and row[0] == "300" and factor:
            days[*name, row[1]] = factor * sum(float(value or 0) for value in row[2 : 2 + count])
        elif row and row[0] == "250":
            walked[row[1], row[4]] += float(row[18])
    for (point, suffix, _), total in days.items():
        walked[point, suffix] += total

    delivered = nem.read(content=content)

    sums = {
        (channel.usage_point, channel.key): sum(int(one.milli_units.sum()) for one in channel.series)
        + sum(period.milli_units for period in channel.periods)
        for channel in delivered.channels
    }
    assert sums == {key: pytest.approx(total * 1_000_000, abs=1) for key, total in walked.items()}


def _inside(content: bytes) -> str:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return archive.read(archive.namelist()[0]).decode("utf-8-sig")


@pytest.mark.parametrize("path", [path for path in FILES if path.name not in BROKEN], ids=lambda path: path.name)
def test_sums_are_those_of_nemreader(path: pathlib.Path) -> None:
    theirs = nemreader.NEMFile(str(path), strict=False).nem_data().readings

    for channel in nem.read(content=path.read_bytes()).channels:
        readings = theirs[channel.usage_point][channel.key]
        kilo = 1 if readings[0].uom.upper().startswith("K") else 1000
        ours = sum(int(one.milli_units.sum()) for one in channel.series)
        ours += sum(period.milli_units for period in channel.periods)
        assert ours == pytest.approx(sum(reading.read_value for reading in readings) * 1_000_000 / kilo, abs=1)


def test_torn_record_of_a_real_file_is_refused_with_its_line() -> None:
    (path,) = (path for path in FILES if path.name in BROKEN)

    with pytest.raises(nem.UnableToReadNem, match="Line 27: a 300 record with 1 of 48 values") as caught:
        nem.read(content=path.read_bytes())

    assert caught.value.code == "nem_truncated"


def test_day_is_the_markets_all_year() -> None:
    (channel,) = read(HEAD + DAY + "900\n").channels
    (series,) = channel.series

    assert (channel.flow, channel.unit, channel.is_counted) == (units.Flow.DELIVERED, units.Unit.WATT_HOUR, True)
    assert int(series.starts[0]) == 1_711_893_600  # 2024-03-31 14:00 UTC is midnight of market time
    assert len(series) == 48
    assert int(series.milli_units.sum()) == 72_000_000


def test_quality_of_parts_of_a_day() -> None:
    text = HEAD + DAY.replace(",A,", ",V,") + "400,1,20,F14,76,\n400,21,24,A,,\n400,25,48,S14,1,\n900\n"

    (channel,) = read(text).channels

    codes = channel.series[0].qualities.tolist()
    assert codes == [units.Quality.EDITED] * 20 + [units.Quality.VALID] * 4 + [units.Quality.ESTIMATED] * 24


def test_null_intervals_are_absent() -> None:
    (channel,) = read(HEAD + DAY.replace("1.5", "", 1) + "400,2,3,N,,\n900\n").channels

    assert len(channel.series[0]) == 45


@pytest.mark.parametrize(
    ("text", "code", "detail"),
    [
        ("", "nem_header", "Line 1 is no 100 record"),
        ("200,a\n", "nem_header", "Line 1 is no 100 record"),
        ("100,NEM12,x\n" + DAY, "nem_malformed", "Line 2 has a 300 record before any 200 record"),
        (HEAD + DAY[:100], "nem_truncated", "Line 3: a 300 record with"),
        (HEAD + DAY.replace("20240401", "20241341"), "nem_malformed", "Line 3 has the date '20241341'"),
        (HEAD + DAY.replace("1.5", "x", 1) + "900\n", "nem_value", "NMI1 E1: a value is no number"),
        (HEAD + DAY.replace(",A,", ",Z,"), "nem_malformed", "Line 3 has the quality 'Z'"),
        (HEAD + "999,1\n", "nem_malformed", "Line 3 has a record '999'"),
        (HEAD.replace(",30,", ",7,"), "nem_malformed", "Line 2 has an interval of 7 minutes"),
        (HEAD + DAY + "400,1,99,A,,\n", "nem_malformed", "Line 4 has the intervals 1 to 99"),
    ],
)
def test_broken_files_are_refused_with_the_line(text: str, code: str, detail: str) -> None:
    with pytest.raises(nem.UnableToReadNem) as caught:
        read(text)

    assert caught.value.code == code
    assert caught.value.detail.startswith(detail)


def test_zip_bomb_is_refused() -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("big.csv", b"0" * 5_000_000)

    with pytest.raises(nem.UnableToReadNem, match="larger than 1000000 bytes"):
        nem.read(content=packed.getvalue(), max_bytes=1_000_000)


def test_large_file_is_read_compiled_to_the_very_same_readings(monkeypatch: pytest.MonkeyPatch) -> None:
    days = "".join(
        DAY.replace("20240401", f"2024{month:02d}{day:02d}").replace("1.5", f"{day}.{month:03d}", 7)
        for month in range(1, 13)
        for day in range(1, 29)
    )
    text = (
        HEAD + days.replace("1.5", "", 3) + HEAD.splitlines(keepends=True)[1].replace("E1", "B1") + days + "900\n"
    ).encode()
    slow = nem.read(content=text)
    monkeypatch.setattr(nem, "_WORTH_COMPILING", 0)

    assert nem._read_quickly(text) is not None
    quick = nem.read(content=text)

    assert [(c.usage_point, c.key, c.flow) for c in quick.channels] == [
        (c.usage_point, c.key, c.flow) for c in slow.channels
    ]
    for ours, theirs in zip(quick.channels, slow.channels, strict=True):
        (one,), (other,) = ours.series, theirs.series
        assert one.starts.tolist() == other.starts.tolist()
        assert one.milli_units.tolist() == other.milli_units.tolist()
        assert one.qualities.tolist() == other.qualities.tolist()


@pytest.mark.parametrize(
    "line",
    [DAY.replace("1.5", "1.5.5", 1), DAY.replace("1.5", "1e3", 1), DAY.replace("0401", "0431"), DAY[:200], "777,\n"],
)
def test_compiled_reader_gives_up_where_a_record_needs_a_closer_look(line: str) -> None:
    assert nem._read_quickly((HEAD + DAY + line + "900\n").encode()) is None


@pytest.mark.parametrize("value", ["nan", "inf", "-Infinity", "1e300", "1e400", "1000000000.1"])
def test_values_that_no_meter_has_are_refused(value: str) -> None:
    days = ",".join([value, *["1"] * 47])
    text = f"100,NEM12,202001010000,A,B\n200,6123456789,E1,E1,E1,N1,M,KWH,30,\n300,20200101,{days},A,,,,\n900\n"

    with pytest.raises(nem.UnableToReadNem) as refusal:
        read(text)

    assert refusal.value.code == "nem_value"


@pytest.mark.parametrize("quantity", ["inf", "nan", "1e300"])
def test_quantities_that_no_meter_has_are_refused(quantity: str) -> None:
    text = (
        "100,NEM13,202001010000,A,B\n"
        "250,6123456789,E1,1,E1,N1,SER,E,1,20200101000000,A,,,2,20200201000000,A,,,"
        f"{quantity},KWH,,20200202000000,\n900\n"
    )

    with pytest.raises(nem.UnableToReadNem) as refusal:
        read(text)

    assert refusal.value.code == "nem_malformed"


def test_compiled_reader_gives_up_before_a_number_is_too_wide() -> None:
    head, line = HEAD.replace("kWh", "MWh"), DAY.replace("1.5", "999999999999", 1)

    assert nem._read_quickly((head + DAY + line + "900\n").encode()) is None
    with pytest.raises(nem.UnableToReadNem, match="more than a meter counts"):
        read(head + line + "900\n")
