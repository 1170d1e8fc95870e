"""Generate the sample extract: Google Ads rows as the REST API returns them.

Rows are real `GoogleAdsRow` messages in protobuf's JSON mapping, one compact object per line.
Accounts, names and figures are invented. The same SEED always gives byte-identical files.

Usage: python make_sample.py [OUTPUT_DIR]    (default: the folder of this script)
"""

import hashlib
import json
import sys
from dataclasses import astuple, dataclass
from itertools import product
from pathlib import Path
from random import Random

from google.ads.googleads.v26.services.types.google_ads_service import GoogleAdsRow
from google.protobuf.json_format import MessageToDict

SEED = 20240601
API_VERSION = GoogleAdsRow.pb().DESCRIPTOR.full_name.split(".")[3]
DATES = ("2024-06-01", "2024-06-02", "2024-06-03")
NEVER = len(DATES)

# `{logical_date}` stands for the day of the extract; the hash is that of the text below,
# so it stays the same from day to day and changes only when the query changes.
QUERIES = {
    "campaign_daily_performance":
        "SELECT campaign.id, campaign.name, campaign.status, campaign.advertising_channel_type, segments.date, "
        "segments.device, metrics.impressions, metrics.clicks, metrics.ctr, metrics.average_cpc, "
        "metrics.cost_micros, metrics.conversions, metrics.conversions_value, metrics.conversions_by_conversion_date "
        "FROM campaign WHERE segments.date = '{logical_date}' AND campaign.status != 'REMOVED' ORDER BY campaign.id",
    "keyword_performance":
        "SELECT campaign.id, ad_group.id, ad_group.name, ad_group_criterion.criterion_id, "
        "ad_group_criterion.status, ad_group_criterion.keyword.text, ad_group_criterion.keyword.match_type, "
        "metrics.impressions, metrics.clicks, metrics.ctr, metrics.average_cpc, metrics.cost_micros, "
        "metrics.conversions FROM keyword_view WHERE segments.date = '{logical_date}' "
        "AND ad_group_criterion.status != 'REMOVED' ORDER BY ad_group.id, ad_group_criterion.criterion_id",
}

# channel: (label in names, devices, scale of impressions, click-through rate)
CHANNELS = {
    "SEARCH": ("Search", ("MOBILE", "DESKTOP", "TABLET"), 900, 0.06),
    "PERFORMANCE_MAX": ("PMax", ("MOBILE", "DESKTOP", "TABLET", "CONNECTED_TV"), 14000, 0.02),
    "DISPLAY": ("Display", ("MOBILE", "DESKTOP", "TABLET"), 40000, 0.004),
    "VIDEO": ("Video", ("MOBILE", "DESKTOP", "TABLET", "CONNECTED_TV"), 9000, 0.001),
    "SHOPPING": ("Shopping", ("MOBILE", "DESKTOP", "TABLET"), 6000, 0.012),
}
KEYWORD_METRICS = ("impressions", "clicks", "cost_micros", "conversions")


@dataclass(frozen=True)
class Account:
    """One customer: its money, its vocabulary, and the day in the course of which it was paused."""
    customer_id: str
    cost_unit: int  # smallest billable amount, in micros of the account's currency
    cpc_units: int  # typical price of a click, in such units
    basket: float  # typical value of a conversion
    themes: tuple[str, ...]
    ad_groups: tuple[str, ...]
    terms: tuple[str, ...]
    modifiers: tuple[str, ...]
    paused_from: int = NEVER


@dataclass(frozen=True, eq=False)
class Keyword:
    """The constant part of a keyword's rows; with `scale` 0 it never gets an impression."""
    fields: dict
    scale: float


@dataclass(frozen=True)
class Campaign:
    """One campaign, paused in the course of day `paused_from`; keywords only for search."""
    id: int
    name: str
    channel: str
    scale: float
    paused_from: int
    keywords: list[Keyword]


@dataclass(frozen=True)
class Stats:
    """Additive figures, from which the ratios are derived."""
    impressions: int = 0
    clicks: int = 0
    cost_micros: int = 0
    conversions: float = 0.0
    conversions_value: float = 0.0
    conversions_by_conversion_date: float = 0.0

    def __add__(self, other: "Stats") -> "Stats":
        return Stats(*(round(a + b, 2) for a, b in zip(astuple(self), astuple(other))))


ACCOUNTS = (
    Account("1234567890", 10_000, 85, 64.0,
            ("Back to School", 'The "Big" Weekend', "Garden \\ Patio", "Café Corner", "Trail Running",
             "Kitchen 'Basics'", "Winter Coats", "Home Office", "Bikes & Helmets"),
            ("Brand", "Generic – Core", 'Long tail "how to"', "Price / Sale"),
            ("running shoes", "espresso machine", "garden chairs", "desk lamp", "café table"),
            ("buy", "cheap", "best", "near me", "for kids")),
    Account("2345678901", 10_000, 60, 48.5,
            ("Sommer-Aktion Küche", "Soldes d'été", "Möbel fürs Büro", 'Aktion "Frühling"', "Größe L\\XL",
             "Décoration intérieure", "Fahrräder & Zubehör", "Crème & Thé", "Rentrée"),
            ("Marke", "Générique", "Größen \\ Farben", "Prix – Promo"),
            ("gartenmöbel", "küchenmesser", "bürostuhl", "théière", "vélo enfant", "crème solaire"),
            ("kaufen", "günstig", "pas cher", "online", "für draußen")),
    Account("3456789012", 1_000_000, 70, 5200.0,
            ("日本 夏のセール", "新生活 キャンペーン", "抹茶ギフト", '"限定" セット', "アウトレット\\処分",
             "キッチン用品", "ランニング", "新茶フェア"),
            ("ブランド", "一般 – コア", '長尾 "方法"', "価格 / セール"),
            ("抹茶 セット", "ランニングシューズ", "デスクライト", "日本 茶器", "折りたたみ 自転車"),
            ("通販", "おすすめ", "安い", "人気", "日本製"), paused_from=1),
)


def make_keywords(rng: Random, account: Account, campaign_id: int) -> list[Keyword]:
    """Invent the ad groups and keywords of a search campaign, in the order of their ids."""
    customer, keywords = f"customers/{account.customer_id}", []
    for index, name in enumerate(account.ad_groups[: 2 + rng.randrange(3)]):
        group = campaign_id * 7 + index
        term = account.terms[rng.randrange(len(account.terms))]
        modifiers = account.modifiers[: 3 + rng.randrange(3)]
        ids = sorted(300_000_000_000 + rng.randrange(2_000_000_000) for _ in modifiers)
        for criterion, modifier in zip(ids, modifiers):
            status = "PAUSED" if rng.random() < 0.1 else "ENABLED"
            scale = 0.05 + rng.random() if status == "ENABLED" and rng.random() < 0.8 else 0.0
            text = {"text": f"{term} {modifier}", "match_type": ("EXACT", "PHRASE", "BROAD")[rng.randrange(3)]}
            fields = {
                "campaign": {"resource_name": f"{customer}/campaigns/{campaign_id}", "id": campaign_id},
                "ad_group": {"resource_name": f"{customer}/adGroups/{group}", "id": group, "name": name},
                "ad_group_criterion": {
                    "resource_name": f"{customer}/adGroupCriteria/{group}~{criterion}",
                    "criterion_id": criterion, "status": status, "keyword": text},
                "keyword_view": {"resource_name": f"{customer}/keywordViews/{group}~{criterion}"},
            }
            keywords.append(Keyword(fields, scale))
    return keywords


def make_campaigns(rng: Random, account: Account) -> list[Campaign]:
    """Invent the campaigns of an account, in the order of their ids."""
    campaigns = []
    campaign_id = 20_000_000_000 + rng.randrange(1_000_000_000)
    for theme, channel, audience in product(account.themes, CHANNELS, ("New", "Returning")):
        if (channel, audience) == ("SEARCH", "Returning"):
            continue
        campaign_id += 1 + rng.randrange(40_000)
        paused_from = rng.randrange(NEVER) if rng.random() < 0.2 else NEVER
        name, scale = f"{theme} | {CHANNELS[channel][0]} | {audience}", 0.02 + rng.random()
        keywords = make_keywords(rng, account, campaign_id) if channel == "SEARCH" else []
        campaigns.append(Campaign(
            campaign_id, name, channel, scale, min(paused_from, account.paused_from), keywords))
    return campaigns


def make_stats(rng: Random, account: Account, scale: float, ctr: float) -> Stats:
    """Invent the figures of one device on one day."""
    impressions = int(scale * rng.random() * rng.random())
    clicks = min(impressions, int(impressions * ctr * (0.5 + rng.random()) + rng.random()))
    units = sum(int(account.cpc_units * (0.5 + rng.random())) for _ in range(clicks))
    conversions = float(int(clicks * 0.08 * rng.random() + rng.random() * 0.4) if clicks else 0)
    if conversions and rng.random() < 0.3:  # credit shared with other campaigns
        conversions = round(conversions - rng.random() * 0.9, 2)
    value = round(conversions * account.basket * (0.5 + rng.random()), 2)
    by_date = float(round(conversions) + (clicks > 0 and rng.random() < 0.1))
    return Stats(impressions, clicks, units * account.cost_unit, conversions, value, by_date)


def simulate(rng: Random, account: Account, campaign: Campaign, day: int):
    """Yield (keyword or None, device, stats) for one campaign and day."""
    _, devices, scale, ctr = CHANNELS[campaign.channel]
    for device in devices:
        for keyword in campaign.keywords or [None]:
            stats = make_stats(rng, account, scale * (keyword or campaign).scale, ctr)
            if day > campaign.paused_from:  # serves no ads, but a late conversion may still arrive
                late = day <= account.paused_from and rng.random() < (0.05 if keyword else 0.3)
                stats = Stats(conversions_by_conversion_date=float(late))
            yield keyword, device, stats


def metrics(stats: Stats, *selected: str) -> dict:
    """The metrics message; ratios without a denominator stay unset."""
    ctr = stats.clicks / stats.impressions if stats.impressions else None
    average_cpc = stats.cost_micros / stats.clicks if stats.clicks else None
    return {**{name: getattr(stats, name) for name in selected}, "ctr": ctr, "average_cpc": average_cpc}


def campaign_row(account: Account, campaign: Campaign, day: int, device: str, stats: Stats) -> GoogleAdsRow:
    """A row of `campaign_daily_performance`."""
    return GoogleAdsRow({
        "campaign": {"resource_name": f"customers/{account.customer_id}/campaigns/{campaign.id}",
                     "id": campaign.id, "name": campaign.name, "advertising_channel_type": campaign.channel,
                     "status": "PAUSED" if day >= campaign.paused_from else "ENABLED"},
        "segments": {"date": DATES[day], "device": device},
        "metrics": metrics(stats, *Stats.__dataclass_fields__)})


def extract_day(rng: Random, account: Account, campaigns: list[Campaign], day: int) -> dict:
    """Both extracts of one account and day: {query name: rows}."""
    campaign_rows, keyword_rows = [], []
    for campaign in campaigns:
        by_device, by_keyword = {}, {}
        for keyword, device, stats in simulate(rng, account, campaign, day):
            by_device[device] = by_device.get(device, Stats()) + stats
            by_keyword[keyword] = by_keyword.get(keyword, Stats()) + stats
        # a segmented query returns no rows whose metrics are all zero, an unsegmented one does
        campaign_rows += [campaign_row(account, campaign, day, device, stats)
                          for device, stats in by_device.items() if any(astuple(stats))]
        keyword_rows += [GoogleAdsRow({**keyword.fields, "metrics": metrics(stats, *KEYWORD_METRICS)})
                         for keyword, stats in by_keyword.items() if keyword]
    return {"campaign_daily_performance": campaign_rows, "keyword_performance": keyword_rows}


def write_json_lines(path: Path, rows: list[GoogleAdsRow]) -> None:
    """Write one compact JSON object per line; no rows make an empty file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8", newline="\n") as file:
        for row in rows:
            line = json.dumps(MessageToDict(GoogleAdsRow.pb(row)), separators=(",", ":"), ensure_ascii=False)
            file.write(line + "\n")


def write_facts(path: Path) -> None:
    """Write the facts about the extract that belong into each partition's metadata."""
    queries = {name: {"query": text, "query_hash": hashlib.sha256(text.encode("utf-8")).hexdigest()}
               for name, text in QUERIES.items()}
    facts = json.dumps({"api_version": API_VERSION, "queries": queries}, indent=2)
    path.write_bytes(facts.encode("utf-8") + b"\n")


def main() -> None:
    """Write all files below the output folder."""
    root = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).resolve().parent
    for account in ACCOUNTS:
        rng = Random(f"{SEED}:{account.customer_id}")
        campaigns = make_campaigns(rng, account)
        for day, date in enumerate(DATES):
            for query, rows in extract_day(rng, account, campaigns, day).items():
                folder = root / f"customer_id={account.customer_id}" / f"query_name={query}"
                write_json_lines(folder / f"logical_date={date}.jsonl", rows)
    write_facts(root / "extract.json")


if __name__ == "__main__":
    main()
