"""What rankings are worth on judged queries: measures, significance, depths. No verdict is given here."""
