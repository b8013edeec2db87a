"""Small answers of venues, made up: a test changes what it is about."""

import json


def write(folder, name, document):
    path = folder / name
    path.write_text(document if isinstance(document, str) else json.dumps(document))
    return path


def deribit_summary(**changes):
    return {
        "currency": "BTC",
        "equity": 10.1,
        "options_value": 0.1,
        "margin_balance": 10.0,
        "initial_margin": 1.25,
        "maintenance_margin": 0.75,
        "margin_model": "segregated_sm",
        "portfolio_margining_enabled": False,
        "cross_collateral_enabled": False,
    } | changes


def deribit_summaries(*rows, **changes):
    return {"jsonrpc": "2.0", "result": {"summaries": list(rows)}, "usOut": 1_700_000_000_000_000} | changes


def deribit_position(**changes):
    return {
        "instrument_name": "BTC-PERPETUAL",
        "kind": "future",
        "direction": "sell",
        "size": -400_000,
        "mark_price": 40_010.0,
        "index_price": 40_000.0,
        "initial_margin": 0.25,
        "maintenance_margin": 0.15,
        "open_orders_margin": 0,
    } | changes


def deribit_positions(*rows):
    return {"jsonrpc": "2.0", "result": list(rows), "usOut": 1_700_000_000_000_000}


def okx_coin(**changes):
    return {
        "ccy": "USDT",
        "cashBal": "1000.5",
        "eq": "1010.5",
        "eqUsd": "1009.4895",
        "upl": "10",
        "isoEq": "0",
        "isoUpl": "0",
        "imr": "40",
        "mmr": "10",
        "ordFrozen": "5",
    } | changes


def okx_balance(*coins, **changes):
    row = {"adjEq": "", "imr": "", "mmr": "", "totalEq": "1009.4895", "uTime": "1700000000000", "details": list(coins)}
    return {"code": "0", "msg": "", "data": [row | changes]}


def okx_position(**changes):
    return {
        "instId": "BTC-USDT-SWAP",
        "instType": "SWAP",
        "mgnMode": "cross",
        "posSide": "net",
        "pos": "-2",
        "ccy": "USDT",
        "avgPx": "40500",
        "markPx": "40000",
        "idxPx": "39990",
        "upl": "10",
        "imr": "40",
        "mmr": "4",
        "lever": "20",
        "notionalUsd": "799.2",
        "uTime": "1700000001000",
    } | changes


def okx_positions(*rows):
    return {"code": "0", "msg": "", "data": list(rows)}


def okx_instrument(name="DOGE-USDT-SWAP", size="1000"):
    return {"instId": name, "instType": "SWAP", "ctVal": size, "ctMult": "1"}


def bybit_coin(**changes):
    return {
        "coin": "USDT",
        "walletBalance": "5000",
        "spotBorrow": "0",
        "equity": "5250",
        "usdValue": "5250",
        "unrealisedPnl": "250",
        "totalOrderIM": "100",
    } | changes


def bybit_wallet(*coins, **changes):
    row = {
        "accountType": "UNIFIED",
        "totalEquity": "5250",
        "totalMarginBalance": "5250",
        "totalInitialMargin": "2600",
        "totalMaintenanceMargin": "250",
        "coin": list(coins),
    }
    return {"retCode": 0, "retMsg": "OK", "result": {"list": [row | changes]}, "time": 1_700_000_000_000}


def bybit_position(**changes):
    return {
        "symbol": "BTCUSDT",
        "side": "Buy",
        "size": "0.5",
        "avgPrice": "50000",
        "markPrice": "50500",
        "leverage": "10",
        "tradeMode": 0,
        "positionBalance": "2500",
        "positionIM": "2500",
        "positionMM": "250",
        "unrealisedPnl": "250",
    } | changes


def bybit_positions(*rows):
    return {"retCode": 0, "result": {"list": list(rows), "category": "linear"}, "time": 1_700_000_000_000}


def binance_asset(**changes):
    return {
        "asset": "USDT",
        "walletBalance": "1500",
        "crossWalletBalance": "1000",
        "unrealizedProfit": "10",
        "marginBalance": "1510",
        "initialMargin": "60",
        "maintMargin": "4",
        "openOrderInitialMargin": "10",
        "updateTime": 1_700_000_000_000,
    } | changes


def binance_position(**changes):
    return {
        "symbol": "BTCUSDT",
        "positionSide": "BOTH",
        "positionAmt": "-0.02",
        "entryPrice": "40500",
        "unrealizedProfit": "10",
        "initialMargin": "60",
        "maintMargin": "4",
        "openOrderInitialMargin": "10",
        "leverage": "20",
        "isolated": False,
        "updateTime": 1_700_000_001_000,
    } | changes


def binance_account(assets, positions, **changes):
    return {
        "multiAssetsMargin": False,
        "totalWalletBalance": "1500",
        "totalMarginBalance": "1510",
        "totalInitialMargin": "60",
        "totalMaintMargin": "4",
        "totalOpenOrderInitialMargin": "10",
        "updateTime": 0,
        "assets": assets,
        "positions": positions,
    } | changes


def binance_risk(**changes):
    return {
        "symbol": "BTCUSDT",
        "positionSide": "BOTH",
        "positionAmt": "-0.02",
        "entryPrice": "40500",
        "markPrice": "40000",
        "unRealizedProfit": "10",
        "leverage": "20",
        "marginType": "cross",
        "isolatedWallet": "0",
        "notional": "-800",
        "updateTime": 1_700_000_001_000,
    } | changes
