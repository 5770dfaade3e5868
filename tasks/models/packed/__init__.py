"""Models run over sequences laid end to end, where their parts are known; others run as their library runs them."""
