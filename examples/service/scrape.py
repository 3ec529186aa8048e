#!/usr/bin/env python3
# SPDX-License-Identifier: BSL-1.0
"""Fetches a page of metrics, checks that it is in Prometheus' text format, and prints its samples:

scrape.py URL
"""
import re
import sys
import urllib.error
import urllib.request

LABEL = r'[a-zA-Z_]\w*="(?:[^"\\\n]|\\[\\n"])*"'
SAMPLE = re.compile(rf'([a-zA-Z_:][\w:]*)(?:\{{({LABEL}(?:,{LABEL})*)\}})? (\S+)')
TYPES = ('counter', 'gauge', 'histogram')

url = sys.argv[1]
with urllib.request.urlopen(url, timeout=60) as response:
    assert response.status == 200
    content_type = response.headers['Content-Type']
    assert content_type == 'text/plain; version=0.0.4; charset=utf-8', response.headers
    page = response.read().decode()

helped, types, samples = set(), {}, {}
assert page.endswith('\n')
for line in page.splitlines():
    if line.startswith('# HELP '):
        name = line.split(' ')[2]
        assert name not in helped, f'helped twice: {line}'
        helped.add(name)
    elif line.startswith('# TYPE '):
        _, _, name, kind = line.split(' ')
        assert name in helped and name not in types and kind in TYPES, line
        types[name] = kind
    else:
        match = SAMPLE.fullmatch(line)
        assert match, f'no sample: {line}'
        name, labels, value = match.groups()
        family = name if name in types else re.sub('_(bucket|sum|count)$', '', name)
        assert family == list(types)[-1], f'not below its family: {line}'
        assert (types[family] == 'histogram') == (family != name), line
        series = f'{name}{{{labels}}}' if labels else name
        assert series not in samples, f'twice: {line}'
        samples[series] = float(value)
        print(series, value)

# Buckets never fall, and the last one counts all.
last = {}
for series, value in samples.items():
    if '_bucket{' in series:
        of = re.sub(',?le="[^"]*"', '', series)
        assert value >= last.get(of, 0), f'not cumulative: {series}'
        last[of] = value
        if 'le="+Inf"' in series:
            assert value == samples[of.replace('_bucket{', '_count{')], series
assert last or 'histogram' not in types.values()

for path, method, status in (('/', 'GET', 404), ('/metrics', 'POST', 405)):
    request = urllib.request.Request(url.replace('/metrics', path), method=method)
    try:
        urllib.request.urlopen(request, timeout=60)
        sys.exit(f'{method} {path} was answered')
    except urllib.error.HTTPError as error:
        assert error.code == status, f'{method} {path}: {error}'
