"""Workflows that call operations of other teams, and the handlers behind them."""
