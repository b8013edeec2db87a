"""Writers of small SPAN files: the columns are written out here once more, not taken from the reader."""

from math import erf, log, sqrt

DAY = "20260102"
WIDTH = 132
FRACTIONS = [0, 0, 1 / 3, 1 / 3, -1 / 3, -1 / 3, 2 / 3, 2 / 3, -2 / 3, -2 / 3, 1, 1, -1, -1]


def line(kind, *fields, width=WIDTH):
    """Return a record of (first column, text) fields."""
    found = list(kind.ljust(width))
    for first, text in fields:
        found[first - 1 : first - 1 + len(text)] = text
    return "".join(found)


def signed(number, digits):
    return f"{abs(round(number)):0{digits}d}{'-' if number < 0 else '+'}"


def normal(x):
    return 0.5 * (1 + erf(x / sqrt(2)))


def call(forward, strike, vol, tau):
    if vol * sqrt(tau) == 0:
        return max(forward - strike, 0.0)
    d = log(forward / strike) / (vol * sqrt(tau)) + vol * sqrt(tau) / 2
    return forward * normal(d) - strike * normal(d - vol * sqrt(tau))


def future_losses(psr, size):
    moves = [*FRACTIONS, 2 * 0.35, -2 * 0.35]
    return [-move * psr * size for move in moves]


def call_losses(forward, strike, vol, tau, psr, size, vsr=0.25):
    now = call(forward, strike, vol, tau)
    losses = [
        now - call(forward + fraction * psr, strike, vol * (1 + (vsr if k % 2 == 0 else -vsr)), tau)
        for k, fraction in enumerate(FRACTIONS)
    ]
    losses += [0.35 * (now - call(forward + far * psr, strike, vol, tau)) for far in (2, -2)]
    return [loss * size for loss in losses]


def header(day=DAY, form="U2"):
    return line("0 ", (3, "OWN"), (9, day), (17, "S"), (18, "S "), (36, form))


def product(code, type, *, size, decimals=2, strike_decimals=0, style="EURO", align="CC", quoted="IDX", currency="USD"):
    return line(
        "P ",
        (3, "OWN"),
        (6, code),
        (16, type),
        (19, f"{code} {type}"),
        (34, f"{decimals:03d}"),
        (37, f"{strike_decimals:03d}"),
        (40, align),
        (42, f"{round(size * 10**7):014d}"),
        (66, currency),
        (70, quoted),
        (76, style),
    )


def commodity(code, products, *, exponent=0, currency="USD"):
    fields = [(3, "OWN"), (7, code), (13, str(exponent)), (14, currency)]
    for k, (name, type) in enumerate(products):
        fields += [(23 + 16 * k, name), (33 + 16 * k, type)]
    return line("2 ", *fields)


def tiers(code, *months):
    fields = [(3, code), (9, "10")]
    for k, (first, last) in enumerate(months):
        at = 11 + 14 * k
        fields += [(at, f"{k + 1:02d}"), (at + 2, first), (at + 8, last)]
    return line("3 ", *fields)


def rates(code, *, spot=None, minimum=0):
    fields = [(3, code), (63, f"{minimum:07d}")]
    if spot is not None:
        month, spread, outright = spot
        fields += [(9, "10"), (11, "01"), (13, "01"), (15, month), (21, f"{spread:07d}"), (28, f"{outright:07d}")]
    return line("4 ", *fields)


def tier_spread(code, priority, charge, *legs):
    fields = [(3, code), (9, "10"), (11, f"{priority:02d}"), (13, f"{len(legs):02d}"), (15, f"{charge:07d}")]
    for k, (tier, ratio, side) in enumerate(legs):
        at = 22 + 7 * k
        fields += [(at, f"{k + 1:02d}"), (at + 2, f"{tier:02d}"), (at + 4, f"{ratio:02d}"), (at + 6, side)]
    return line("C ", *fields)


def inter_spread(priority, percent, *legs, method="01"):
    fields = [(3, "ALL"), (6, f"{priority:04d}"), (10, f"{round(percent * 10**4):07d}"), (89, method)]
    for k, (code, ratio, side) in enumerate(legs):
        at = 17 + 18 * k
        fields += [(at, "OWN"), (at + 4, code), (at + 10, f"{round(ratio * 10**4):07d}"), (at + 17, side)]
    return line("6 ", *fields)


def terms(code, type, future, option="", *, expiry, rate=0.03):
    return line(
        "B ",
        (3, "OWN"),
        (6, code),
        (16, type),
        (19, future),
        (28, option),
        (68, f"{round(rate * 10**4):05d}"),
        (92, expiry),
        width=163,
    )


def array(code, type, *, future, losses, price, delta, option="", right="", strike=0, under="", vol=0.0, digits=5):
    """Return the two records of a contract."""
    kinds = ("81", "82") if digits == 5 else ("83", "84")
    key = [
        (3, "OWN"),
        (6, code),
        (16, under or code),
        (26, type),
        (29, right),
        (30, future),
        (39, option),
        (48, f"{strike:07d}"),
    ]
    halves = []
    for kind, values in zip(kinds, (losses[:9], losses[9:]), strict=True):
        fields = list(key)
        for k, value in enumerate(values):
            fields.append((55 + k * (digits + 1), signed(value, digits)))
        if kind in ("82", "84"):
            shift = 7 * (digits - 5)
            fields += [
                (97 + shift, signed(delta * 10**4, 5)),
                (103 + shift, f"{round(vol * 10**6):08d}"),
                (111 + shift, signed(price * 100, 7)),
                (119 + shift, "+"),
            ]
        halves.append(line(kind, *fields, width=180))
    return halves


TAU = 77 / 365
CALL = {"forward": 4040.0, "strike": 4100.0, "vol": 0.2, "tau": TAU}


def lines():
    """Return the lines of a file with two commodities: AA with two futures and a call, BB with one future."""
    price = round(call(4040.0, 4100.0, 0.2, TAU), 2)
    return [
        header(),
        line("T ", (3, "EUR"), (6, "E"), (7, "USD"), (10, "U"), (11, "0001100000")),
        line("1 ", (3, "OWN"), (8, "OW")),
        product("AA", "FUT", size=50),
        product("AAO", "OOF", size=50),
        product("BB", "FUT", size=20, quoted="STD"),
        commodity("AAC", [("AA", "FUT"), ("AAO", "OOF")]),
        tiers("AAC", ("202603", "202603"), ("202604", "202612")),
        rates("AAC", spot=("202603", 100, 300), minimum=75),
        tier_spread("AAC", 1, 400, (1, 1, "A"), (2, 1, "B")),
        terms("AA", "FUT", "202603", expiry="20260320"),
        terms("AA", "FUT", "202606", expiry="20260619"),
        terms("AAO", "OOF", "202603", "202603", expiry="20260320"),
        *array("AA", "FUT", future="202603", losses=future_losses(200, 50), price=4040.0, delta=1.0),
        *array("AA", "FUT", future="202606", losses=future_losses(200, 50), price=4080.0, delta=1.0),
        *array(
            "AAO",
            "OOF",
            future="202603",
            option="202603",
            right="C",
            strike=4100,
            under="AA",
            losses=call_losses(**CALL, psr=200, size=50),
            price=price,
            delta=0.4321,
            vol=0.2,
        ),
        commodity("BBC", [("BB", "FUT")]),
        rates("BBC"),
        terms("BB", "FUT", "202603", expiry="20260320"),
        *array("BB", "FUT", future="202603", losses=future_losses(50, 20), price=1000.0, delta=1.0),
        line("5 ", (3, "ALL"), (13, "AAC"), (19, "BBC")),
        inter_spread(1, 60.0, ("AAC", 1, "A"), ("BBC", 5, "B")),
        inter_spread(2, 50.0, ("AAC", 1, "A"), ("BBC", 1, "B"), method="20"),
    ]


def spn():
    """Return the same as XML, as one text."""
    price = round(call(4040.0, 4100.0, 0.2, TAU), 2)

    def ra(losses, delta):
        return f"<ra><r>1</r>{''.join(f'<a>{round(x)}</a>' for x in losses)}<d>{delta}</d></ra>"

    def fut(month, settles, p, psr, size):
        return (
            f"<fut><cId>1</cId><pe>{month}</pe><p>{p}</p><d>1</d><cvf>{size}</cvf><setlDate>{settles}</setlDate>\n"
            f"{ra(future_losses(psr, size), 1)}</fut>\n"
        )

    return f"""<?xml version="1.0"?>
<spanFile>
<fileFormat>4.00</fileFormat>
<pointInTime>
<date>{DAY}</date>
<clearingOrg>
<ec>OWN</ec>
<curConv><fromCur>EUR</fromCur><toCur>USD</toCur><factor>1.1</factor></curConv>
<exchange>
<exch>OWN</exch>
<futPf><pfId>1</pfId><pfCode>AA</pfCode><currency>USD</currency><cvf>50</cvf><priceMeth>IDX</priceMeth>
{fut("202603", "20260320", 4040.0, 200, 50)}{fut("202606", "20260619", 4080.0, 200, 50)}</futPf>
<futPf><pfId>2</pfId><pfCode>BB</pfCode><currency>USD</currency><cvf>20</cvf>
{fut("202603", "20260320", 1000.0, 50, 20)}</futPf>
<oofPf><pfId>3</pfId><pfCode>AAO</pfCode><exercise>EURO</exercise><currency>USD</currency><cvf>50</cvf><priceMeth>IDX</priceMeth>
<undPf><pfCode>AA</pfCode></undPf>
<series><pe>202603</pe><setlDate>20260320</setlDate><undC><pe>202603</pe></undC><intrRate><val>0.03</val></intrRate>
<opt><o>C</o><k>4100</k><p>{price}</p><v>0.2</v>
{ra(call_losses(**CALL, psr=200, size=50), 0.4321)}</opt>
</series></oofPf>
</exchange>
<ccDef><cc>AAC</cc><currency>USD</currency>
<pfLink><pfCode>AA</pfCode><pfType>FUT</pfType></pfLink><pfLink><pfCode>AAO</pfCode><pfType>OOF</pfType></pfLink>
<spotRate><r>1</r><pe>202603</pe><sprd>100</sprd><outr>300</outr></spotRate>
<intraTiers><tier><tn>1</tn><sPe>202603</sPe><ePe>202603</ePe></tier><tier><tn>2</tn><sPe>202604</sPe><ePe>202612</ePe></tier></intraTiers>
<somTiers><tier><tn>1</tn><rate><r>1</r><val>75</val></rate></tier></somTiers>
<dSpread><spread>1</spread><chargeMeth>F</chargeMeth><rate><r>1</r><val>400</val></rate>
<tLeg><cc>AAC</cc><tn>1</tn><rs>A</rs><i>1</i></tLeg><tLeg><cc>AAC</cc><tn>2</tn><rs>B</rs><i>1</i></tLeg></dSpread>
</ccDef>
<ccDef><cc>BBC</cc><currency>USD</currency><pfLink><pfCode>BB</pfCode><pfType>FUT</pfType></pfLink></ccDef>
<interSpreads><dSpread><spread>1</spread><rate><r>1</r><val>0.6</val></rate>
<tLeg><cc>AAC</cc><rs>A</rs><i>1</i></tLeg><tLeg><cc>BBC</cc><rs>B</rs><i>5</i></tLeg></dSpread></interSpreads>
</clearingOrg>
</pointInTime>
</spanFile>
"""
