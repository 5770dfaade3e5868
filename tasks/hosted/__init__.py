"""What is asked over HTTP for money, whatever it answers: addresses, keys, requests, waits. What is asked is above."""
