#!/usr/bin/env python3
"""Makes data/places.jsonl: seeds for questions about the world's places, from the public-domain time zone database.

Usage: make_places.py > data/places.jsonl (reads zone.tab and iso3166.tab of Debian's package tzdata).
Each of the places that zone.tab lists is combined with each topic, one row per pair.
"""
import datetime
import json
import re
import sys
import zoneinfo

TAB = "/usr/share/zoneinfo/"
TOPICS = ["geography and climate", "history", "food and daily life"]


def rows_of(name):
    with open(TAB + name, encoding="utf-8") as f:
        return [line.rstrip("\n").split("\t") for line in f if line.strip() and not line.startswith("#")]


def degrees(text):
    """+DDMM, +DDMMSS, +DDDMM or +DDDMMSS in decimal degrees."""
    sign = -1 if text[0] == "-" else 1
    digits = text[1:]
    whole = 2 if len(digits) in (4, 6) else 3
    minutes, seconds = int(digits[whole:whole + 2]), int(digits[whole + 2:] or 0)
    return round(sign * (int(digits[:whole]) + minutes / 60 + seconds / 3600), 3)


def utc_offset(zone):
    """Hours from UTC in January 2025."""
    when = datetime.datetime(2025, 1, 15, tzinfo=zoneinfo.ZoneInfo(zone))
    return when.utcoffset().total_seconds() / 3600


def main():
    countries = dict(row[:2] for row in rows_of("iso3166.tab"))
    for code, where, zone, *_ in rows_of("zone.tab"):
        if code == "AQ":
            continue  # research stations
        latitude, longitude = re.fullmatch(r"([+-]\d+)([+-]\d+)", where).groups()
        place = {
            "place": zone.split("/")[-1].replace("_", " "),
            "country": countries[code],
            "latitude": degrees(latitude),
            "longitude": degrees(longitude),
            "time_zone": zone,
            "utc_offset": utc_offset(zone),
        }
        for topic in TOPICS:
            json.dump({**place, "topic": topic}, sys.stdout, ensure_ascii=False)
            print()


if __name__ == "__main__":
    main()
