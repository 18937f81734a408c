"""The lexicon: surface phrases in English and Chinese -> meaning ids, and its tokenizer.

The tokenizer, exactly (a second implementation reads the same lexicon.json):

1. Lower-case the text.  Every character that is not alphanumeric (Unicode) becomes a space;
   runs of spaces become one; ends are trimmed.  Phrases in the lexicon are stored that way.
2. A *word character* is an alphanumeric character below U+2E80 (Latin, digits, ...); Chinese
   characters are not.
3. At place i, skip a space.  Otherwise take the longest phrase that stands there and that does
   not cut a word: if its first character is a word character, the character before i must not be
   one; if its last is a word character, the character after must not be one.  Append its ids
   (often none: filler) and go on behind it.
4. If no phrase fits: with a word character, the whole run of word characters is an unknown word;
   otherwise the one character is unknown.  It adds no id.
5. Only the first 16 ids are kept.

Ids 1..127 are colours, backgrounds, relations and so on, in blocks with room to grow; concepts
count up from 128 in the order of concepts.txt; 0 is never produced.
"""

import json
from pathlib import Path

CONCEPT0 = 128
MAX_TOKENS = 16
STYLES = ["3d", "flat", "noto", "line"]

COLOURS = [  # name, RGB of the mid tone, English, Chinese
    ("red", (214, 40, 48), "red", "红色 红 红色的"),
    ("orange", (242, 125, 30), "orange", "橙色 橙 橘色 橘黄色"),
    ("yellow", (246, 203, 40), "yellow|golden|gold", "黄色 黄 金色 金"),
    ("green", (62, 166, 72), "green", "绿色 绿"),
    ("blue", (44, 104, 214), "blue", "蓝色 蓝"),
    ("purple", (134, 66, 190), "purple|violet", "紫色 紫"),
    ("pink", (244, 132, 178), "pink", "粉色 粉 粉红色 粉红"),
    ("brown", (132, 84, 50), "brown", "棕色 棕 褐色 咖啡色"),
    ("black", (44, 44, 50), "black", "黑色 黑"),
    ("white", (238, 238, 240), "white", "白色 白"),
    ("grey", (138, 140, 146), "grey|gray", "灰色 灰"),
]
SCENES = [  # name, English phrase used in captions, other English, Chinese place words
    ("sky", "in the sky", "sky|blue sky|in the blue sky|day sky", "天空 蓝天 天上 空中"),
    ("sunset", "at sunset", "sunset|sunrise|at sunrise|dusk|at dusk|dawn", "日落 夕阳 黄昏 日出 傍晚"),
    ("night", "at night", "night|starry night|night sky|starry sky|under the stars|stars at night", "夜晚 星空 夜空 夜里 夜色"),
    ("meadow", "on a meadow", "meadow|grass|in the grass|on the grass|field|lawn|park", "草地 草原 草坪 草丛 田野"),
    ("desert", "in the desert", "desert|sand dunes|dunes|on the sand", "沙漠 沙丘 沙地"),
    ("snow", "in the snow", "snow|snowy|winter|in winter|on the snow|ice field", "雪地 雪 冬天 雪中 雪景"),
    ("sea", "on the sea", "sea|ocean|on the water|water|lake|at sea", "大海 海 海面 海洋 湖面 水面"),
    ("underwater", "under the sea", "underwater|under water|under the water|deep sea|sea floor", "海底 水下 水底 海里 水里 水中"),
    ("beach", "on the beach", "beach|seaside|shore|coast", "海滩 沙滩 海边"),
    ("forest", "in the forest", "forest|woods|in the woods|jungle|in the jungle", "森林 树林 丛林 林间"),
    ("city", "in the city", "city|town|street|in town|on the street", "城市 街道 街头 都市"),
    ("space", "in space", "space|outer space|in outer space|galaxy|universe", "太空 宇宙 银河 外太空"),
    ("room", "in a room", "room|indoors|living room|in the room|inside", "房间 室内 客厅 屋内 屋里"),
    ("mountains", "in the mountains", "hills|mountain range|in the hills|among the mountains", "群山 山间 山里 山中 山野"),
    ("rain", "in the rain", "rain|rainy|rainy day|on a rainy day", "雨中 雨天 雨 下雨 雨里"),
]
# Every relation has three ids, because word order differs: between its two things (A left of B),
# behind both (A B 左边, that is A在B的左边), and between them but the other way round (B左边的A).
RELATIONS = [
    ("left", "left of|to the left of|on the left of", "左边 左侧 左面"),
    ("right", "right of|to the right of|on the right of", "右边 右侧 右面"),
    ("above", "above|over", "上方 上空 上面"),
    ("on", "on top of|sitting on|standing on", "顶上 头顶 上"),
    ("below", "below|under|beneath|underneath", "下面 下方 底下"),
    ("behind", "behind", "后面 背后 后方"),
    ("front", "in front of", "前面 前方 面前"),
]
EXTRAS = [  # name, kind, English, Chinese
    ("and", "relation", "and|next to|beside|near|together with", "和 与 跟 以及 旁边 旁边的 还有"),
    ("small", "size", "small|little|tiny", "小 小小的 很小的"),
    ("big", "size", "big|large|huge|giant", "大 巨大 很大的 巨大的"),
    ("dark", "light", "dark|dim|gloomy|dark light", "昏暗 暗 黑暗 暗淡"),
    ("bright", "light", "bright|sunny|bright light", "明亮 亮 阳光明媚"),
    ("3d", "style", "3d|3d style|3d render|3d rendering|in 3d|rendered", "3d 立体 三维 3d风格 立体风格 3d渲染"),
    ("flat", "style", "flat|flat style|flat illustration|flat design|vector|vector art", "扁平 平面 扁平风格 扁平插画 矢量 扁平风"),
    ("noto", "style", "glossy|glossy style", "光泽风格"),
    ("line", "style", "line art|line drawing|black and white line drawing", "线稿 线描 简笔画"),
    ("two", "count", "two|2|a pair of|a couple of", ""),
    ("three", "count", "three|3", ""),
]
MEASURES = "只个条头匹朵辆架座棵颗块把本张件双艘台盏片杯碗位名根枚幢栋株串"
FILLER_EN = (
    "a|an|the|of|in|on|at|is|are|was|there|this|that|it|its|with|to|for|one|some|by|as|i|we|me|my|"
    "picture|image|drawing|illustration|photo|painting|sketch|scene|emoji|icon|sticker|cartoon|"
    "picture of|image of|drawing of|illustration of|photo of|draw|paint|show|make|create|please|"
    "style|background|color|colour|colored|coloured|cute|beautiful|nice|pretty|lovely|funny|happy|"
    "very|simple|single|standing|sitting|flying|running|swimming|floating|driving|lying|alone"
)
FILLER_ZH = (
    "的 了 着 在 是 有 里 中 里面 里的 中的 一 这 那 它 我 请 画 画一 图 图片 图画 画面 插画 插图 照片 背景 "
    "风格 风格的 颜色 可爱 可爱的 漂亮 漂亮的 美丽 美丽的 简单 一幅 一张图 幅 正在 站在 坐在 飞在 处于 下的"
)

IRREGULAR_OFF = {"mountain"}  # their plurals mean a background


def plural(name):
    for end, new in (("y", "ies"),):
        if name.endswith(end) and name[-2] not in "aeiou":
            return name[:-1] + new
    if name.endswith(("s", "x", "ch", "sh")):
        return name + "es"
    return name + "s"


def normal(text):
    """Step 1 of the tokenizer."""
    return " ".join("".join(c if c.isalnum() else " " for c in text.lower()).split())


def is_word(c):
    return c.isalnum() and ord(c) < 0x2E80


def read_concepts(path=None):
    """concepts.txt -> list of {emoji, kind, core, en: [...], zh: [...], plural: str}."""
    out, kind = [], ""
    for line in Path(path or Path(__file__).with_name("concepts.txt")).read_text("utf-8").splitlines():
        line = line.strip()
        if line.startswith("##"):
            kind = line[2:].strip()
        elif line and not line.startswith("#"):
            emoji, rest = line.lstrip("*").split(" ", 1)
            en, zh = rest.split("|")
            names, many = [], None
            for i, n in enumerate(en.split(",")):
                if "(=" in n:
                    n, p = n.split("(=")
                    many = p.strip(" )")
                names.append(n.strip())
            out.append({
                "emoji": emoji.replace("\ufe0f", ""), "kind": kind, "en": names, "core": line[0] == "*",
                "zh": [z.strip() for z in zh.split(",")], "plural": many or plural(names[0]),
            })
    return out


class Lexicon:
    """Built from the tables above and concepts.txt; `phrases` maps normal text to id lists."""

    def __init__(self):
        self.phrases, self.names = {}, {}
        self.concepts = read_concepts()
        self.groups = {k: [] for k in ("colour", "background", "relation", "size", "light", "style", "count", "concept")}
        self.ids = {}

        def meaning(i, kind, name):
            self.names[i] = {"name": name, "category": kind}
            self.groups[kind].append(i)
            self.ids[kind, name] = i

        for w in FILLER_EN.split("|"):
            self.add(w, [])
        for w in FILLER_ZH.split():
            self.add(w, [])
        for m in MEASURES:
            self.add("一" + m, [])
        i = 0
        for i, (name, _, en, zh) in enumerate(COLOURS, 1):
            meaning(i, "colour", name)
            for w in en.split("|") + zh.split():
                self.add(w, [i])
        for k, (name, _, en, zh) in enumerate(COLOURS):
            i = 20 + k
            meaning(i, "background", name + " background")
            for w in en.split("|"):
                for f in (f"{w} background", f"{w} backdrop", f"plain {w} background", f"on {w}"):
                    self.add(f, [i])
            for w in zh.split():
                for f in ("背景", "底", "的背景", "底色"):
                    self.add(w + f, [i])
        for k, (name, cap, en, zh) in enumerate(SCENES):
            i = 36 + k
            meaning(i, "background", name)
            for w in [cap] + en.split("|"):
                self.add(w, [i])
            for w in zh.split():
                self.add(w, [i])
        for k, (_, _, _, zh) in enumerate(SCENES):
            for w in zh.split():
                for f in ("里", "中", "上", "下", "里的", "中的", "上的", "下的", "上空", "背景", "的背景"):
                    self.phrases.setdefault(normal(w + f), [36 + k])  # a name listed above wins
        for k, (name, en, zh) in enumerate(RELATIONS):
            for j, form in enumerate(("", " (behind both)", " (reversed)")):
                meaning(60 + 3 * k + j, "relation", name + form)
            for w in en.split("|"):
                self.add(w, [60 + 3 * k])
            for w in zh.split():
                self.add(w, [61 + 3 * k])
                for f in ("的", "是", "有"):
                    self.add(w + f, [62 + 3 * k])
        for k, (name, kind, en, zh) in enumerate(EXTRAS):
            i = 90 + k
            meaning(i, kind, name)
            for w in [w for w in en.split("|") if w] + zh.split():
                self.add(w, [i])
        for m in ["", *MEASURES]:
            for w, n in (("两", "two"), ("二", "two"), ("三", "three")):
                self.add(w + m, [self.ids["count", n]])
        for k, c in enumerate(self.concepts):
            i = CONCEPT0 + k
            meaning(i, "concept", c["en"][0])
            for w in c["zh"]:
                self.add(w, [i])
            many = {plural(n) for n in c["en"] if n not in IRREGULAR_OFF} | {c["plural"]}
            # A name always wins over the regular plural of another one.
            for w in c["en"]:
                self.add(w, [i])
            for w in many:
                if normal(w) not in self.phrases:
                    self.add(w, [i])
        self.add("oranges", [CONCEPT0 + next(k for k, c in enumerate(self.concepts) if "tangerine" in c["en"])])
        self.longest = max(map(len, self.phrases))

    def add(self, phrase, ids):
        p = normal(phrase)
        old = self.phrases.setdefault(p, ids)
        if old != ids:
            raise ValueError(f"{p!r} means both {old} and {ids}")

    def tokens(self, text):
        """Text -> (ids, unknown words)."""
        s = normal(text)
        ids, unknown, i = [], [], 0
        while i < len(s):
            if s[i] == " ":
                i += 1
                continue
            for n in range(min(self.longest, len(s) - i), 0, -1):
                p = s[i : i + n]
                if p not in self.phrases:
                    continue
                if is_word(p[0]) and i > 0 and is_word(s[i - 1]):
                    continue
                if is_word(p[-1]) and i + n < len(s) and is_word(s[i + n]):
                    continue
                ids += self.phrases[p]
                i += n
                break
            else:
                j = i + 1
                if is_word(s[i]):
                    while j < len(s) and is_word(s[j]):
                        j += 1
                unknown.append(s[i:j])
                i = j
        return ids[:MAX_TOKENS], unknown

    def save(self, path):
        d = {
            "version": 1, "max_tokens": MAX_TOKENS, "phrases": self.phrases,
            "names": {str(i): n for i, n in sorted(self.names.items())}, **self.groups,
        }
        Path(path).write_text(json.dumps(d, ensure_ascii=False, indent=0), encoding="utf-8")
