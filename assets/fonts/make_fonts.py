"""Makes the fonts of the window from what Debian and npm distribute; README.md says where they come from.

Usage: make_fonts.py INTER_FOLDER NOTO_SANS_CJK_TTC PHOSPHOR_TTF EMOJI_INDEX_JSONL
Needs fonttools 4. Run in this folder; writes here and into ../icons.
"""

import json
import re
import sys
from pathlib import Path

from fontTools import subset
from fontTools.ttLib import TTCollection, TTFont

HERE = Path(__file__).resolve().parent
APP = HERE.parent.parent / "app" / "src"
SC_FACE = "Noto Sans CJK SC"


def cut(font, characters, features):
    """Keeps only the glyphs of `characters`, and of what `features` puts in their place."""
    # The same input gives the same bytes.
    font.recalcTimestamp = False
    options = subset.Options(layout_features=features, name_IDs=[0, 1, 2, 4, 6, 13, 14], hinting=False,
                             notdef_outline=True, drop_tables=["DSIG", "BASE", "vhea", "vmtx", "VORG"])
    tool = subset.Subsetter(options)
    tool.populate(unicodes=sorted({ord(c) for c in characters}))
    tool.subset(font)
    return font


def with_tabular_digits(font):
    """Makes the tabular figures the usual ones: numbers that count up must not shake."""
    swap = {}
    for record in font["GSUB"].table.FeatureList.FeatureRecord:
        if record.FeatureTag == "tnum":
            for index in record.Feature.LookupListIndex:
                for table in font["GSUB"].table.LookupList.Lookup[index].SubTable:
                    swap.update(getattr(getattr(table, "ExtSubTable", table), "mapping", {}))
    for table in font["cmap"].tables:
        for code in range(ord("0"), ord("9") + 1):
            if code in table.cmap:
                table.cmap[code] = swap.get(table.cmap[code], table.cmap[code])
    return font


def latin():
    ranges = [(0x20, 0x7E), (0xA0, 0x17F), (0x2010, 0x2027), (0x2030, 0x203A), (0x2190, 0x2193), (0x2200, 0x2265)]
    wanted = {chr(c) for low, high in ranges for c in range(low, high + 1)}
    return wanted | set("⇧⌘⌥⌃⏎⌫⎋€™×÷−…·•")


def chinese(emoji_index):
    """GB 2312 level 1 and its punctuation, every character of the emoji names, every one of the window."""
    wanted = set()
    for row in list(range(1, 4)) + list(range(16, 56)):
        for cell in range(1, 95):
            try:
                wanted.add(bytes([0xA0 + row, 0xA0 + cell]).decode("gb2312"))
            except UnicodeDecodeError:
                pass
    for line in emoji_index.read_text(encoding="utf-8").splitlines():
        entry = json.loads(line)
        wanted.update(entry["name_zh"])
        wanted.update("".join(entry["keywords_zh"]))
    for source in APP.rglob("*.rs"):
        wanted.update(c for c in source.read_text(encoding="utf-8") if ord(c) > 0x2E00)
    return {c for c in wanted if not 0xE000 <= ord(c) <= 0xF8FF and ord(c) < 0x20000}


def icons():
    table = (APP / "theme" / "icons.rs").read_text(encoding="utf-8")
    return {chr(int(code, 16)) for code in re.findall(r"\\u\{([0-9a-f]+)\}", table)}


def main():
    inter, cjk, phosphor, index = map(Path, sys.argv[1:5])
    for weight in ["Regular", "Medium", "SemiBold"]:
        font = with_tabular_digits(TTFont(inter / f"Inter-{weight}.otf"))
        cut(font, latin(), ["kern", "ccmp", "mark", "calt", "case"]).save(HERE / f"Inter-{weight}.otf")
    face = next(f for f in TTCollection(cjk).fonts if f["name"].getDebugName(1) == SC_FACE)
    cut(face, chinese(index), []).save(HERE / "NotoSansSC-Regular.otf")
    cut(TTFont(phosphor), icons(), []).save(HERE.parent / "icons" / "Phosphor-Regular.ttf")
    for file in sorted([*HERE.glob("*.otf"), *(HERE.parent / "icons").glob("*.ttf")]):
        print(f"{file.stat().st_size:>9} {file.name}")


if __name__ == "__main__":
    main()
