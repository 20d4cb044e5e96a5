"""What the generated samples say. All of it is invented; the sums add up."""

Block = str | list[list[str]]

COFFEE_HEAD = [
    "Tidewater Coffee Roasters Ltd, 4 Quay Street, Falmouth",
    "Invoice number: TC-2026-0187",
    "Invoice date: 3 March 2026",
    "Due date: 2 April 2026",
    "Supplier: Tidewater Coffee Roasters Ltd",
    "Bill to: Marram &amp; Sons Cafe",
]
COFFEE_ROWS = [
    ["Description", "Quantity", "Unit price", "Amount"],
    ["House blend beans, 1 kg", "24", "14.50", "348.00"],
    ["Decaf beans, 1 kg", "6", "16.25", "97.50"],
    ["Paper filters, box of 100", "10", "3.80", "38.00"],
]
COFFEE_TAIL = [
    "Subtotal: £483.50",
    "VAT (20%): £96.70",
    "Total: £580.20",
    "Please pay within thirty days. Thank you for drinking with us.",
]

RIVER_HEAD = [
    "Report number: WQ-26-014",
    "Prepared by: Wend Valley Rivers Trust",
    "Prepared for: Ashcombe Parish Council",
    "Date: 28 May 2026",
]
RIVER_SUMMARY = (
    "Water quality in the River Wend improved at five of six sites between March and May 2026. "
    "Phosphate remains above the target below Mill Weir, where a drain was found to be leaking."
)
RIVER_UPPER = [
    ["Site", "pH", "Phosphate mg/l", "Oxygen %"],
    ["Ford Lane", "7.4", "0.04", "97"],
    ["Church Bridge", "7.5", "0.05", "95"],
    ["Alder Pool", "7.3", "0.06", "93"],
]
RIVER_LOWER = [
    ["Site", "pH", "Phosphate mg/l", "Oxygen %"],
    ["Mill Weir", "7.9", "0.21", "81"],
    ["Sheep Dip", "7.6", "0.09", "88"],
    ["Wend Mouth", "7.7", "0.08", "90"],
]
RIVER_COSTS = [
    ["Item", "Visits", "Amount"],
    ["Laboratory tests", "6", "1,240.00"],
    ["Travel and equipment", "12", "385.50"],
]
RIVER_END = ["Total cost: GBP 1,625.50", "The next survey is planned for September 2026."]

KYOTO = [
    "文書番号: KY-2026-33",
    "日付: 2026年5月21日",
    "差出人: 鴨川旅館 予約係",
    "宛先: 田中美咲様",
    "件名: ご予約の確認",
    "手紙",
    "このたびは当館をご予約いただき、誠にありがとうございます。",
    "六月三日より二泊、庭に面したお部屋をご用意いたします。",
    "合計: 48,600 JPY",
    "心よりお待ち申し上げております。",
]

POSTERS: list[Block] = [
    "# Rechnung",
    "Absender: Druckerei Lindenhof GmbH",
    "Empfänger: Stadttheater Ebersfeld",
    "Rechnungsnummer: 2026/0412",
    "Datum: 17.04.2026",
    [
        ["Bezeichnung", "Menge", "Einzelpreis", "Betrag"],
        ["Plakate A2, vierfarbig", "150", "2,40", "360,00"],
        ["Faltblätter A4", "1.000", "0,35", "350,00"],
        ["Versand", "1", "24,00", "24,00"],
    ],
    "Nettobetrag: 734,00 EUR",
    "Umsatzsteuer 19 %: 139,46 EUR",
    "Gesamtbetrag: 873,46 EUR",
    "Zahlbar innerhalb von 14 Tagen ohne Abzug.",
]

ROSEWATER: list[Block] = [
    "# Фактура",
    "Номер: 0000004173",
    "Дата: 09.06.2026",
    "Доставчик: Розова долина ЕООД",
    "Получател: Аптека Здравец ООД",
    [
        ["Описание", "Количество", "Единична цена", "Сума"],
        ["Розова вода, 1 л", "24", "9,20", "220,80"],
        ["Розово масло, 10 мл", "6", "32,00", "192,00"],
    ],
    "Общо: 412,80 EUR",
    "Цените са с включен данък.",
]

SOLAR: dict[str, list[list[str | float | None]]] = {
    "Invoice": [
        ["Helio Parts Oy"],
        ["Invoice number", "HP-7731"],
        ["Date", "2026-02-19"],
        ["Seller", "Helio Parts Oy"],
        ["Buyer", "Brightfield Farm Cooperative"],
        ["Currency", "USD"],
        [],
        ["Item", "Quantity", "Unit price", "Amount"],
        ["Inverter, 5 kW", 2, 1180.00, 2360.00],
        ["Panel clamp", 120, 1.15, 138.00],
        ["Connector pair", 40, 2.05, 82.00],
        ["Total", None, None, 2580.00],
    ],
    "Delivery": [
        ["Parcel", "Weight kg", "Tracking"],
        ["1 of 2", 31.5, "HX-100-2231"],
        ["2 of 2", 8.2, "HX-100-2232"],
    ],
}

APPRENTICE: list[Block] = [
    "# Your apprenticeship with us",
    "From: Oakridge Joinery, Workshop Office",
    "To: Miss Imogen Farrell",
    "Date: 11 May 2026",
    "Our reference: OJ/APP/26-09",
    "Dear Miss Farrell,",
    (
        "We are pleased to offer you an apprenticeship in our workshop from 7 September 2026. "
        "You will spend four days a week at the bench and one day at the college in Ashcombe."
    ),
    "This letter and the enclosed plan set out what you will learn in the first year.",
    [
        ["Term", "Subject", "Days"],
        ["Autumn", "Hand tools and timber", "52"],
        ["Spring", "Machine safety", "48"],
        ["Summer", "Window frames", "50"],
    ],
    "Yours sincerely,",
    "Piers Halloran, workshop manager",
]

CANCELLATION = """\
Lettre recommandée

De : Mme Hélène Brémond
À : Salle de sport Énergie Côte d'Émeraude
Date : 2 février 2026
Référence : contrat n° 88-2214
Objet : résiliation de mon abonnement

Madame, Monsieur,

Par la présente lettre, je vous informe que je résilie mon abonnement à compter du 31 mars 2026.
Je vous prie de me rembourser la caution.

Total : 45,00 €

Veuillez agréer mes salutations distinguées.
Hélène Brémond
"""

TRAM: list[tuple[str, list[str] | list[list[str]]]] = [
    (
        "Tram line 4: first year",
        [
            "Report number: TR-2026-02",
            "Author: Ebersfeld Transport Office",
            "Audience: City Council of Ebersfeld",
            "Date: 15 January 2026",
            "Line 4 carried more passengers than planned in every quarter of its first year.",
        ],
    ),
    (
        "Passengers by quarter",
        [
            ["Quarter", "Planned", "Carried"],
            ["Q1", "210,000", "224,500"],
            ["Q2", "230,000", "251,300"],
            ["Q3", "220,000", "236,900"],
            ["Q4", "240,000", "268,100"],
        ],
    ),
]
