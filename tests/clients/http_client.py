"""http_client.py requests|urllib URL COUNT: prints the body of each answer."""
import sys

library, url, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
for _ in range(count):
    if library == "requests":
        import requests

        answer = requests.get(url, timeout=10)
        answer.raise_for_status()
        print(answer.text)
    else:
        import urllib.request

        print(urllib.request.urlopen(url, timeout=10).read().decode())
