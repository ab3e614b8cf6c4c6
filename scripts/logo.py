#!/usr/bin/env python3
"""Draws the kernel's logo, a ravine and the way through it, as SVG and as PNG of 32 and 64 pixels:

    python3 scripts/logo.py kernel/assets

Needs nothing but Python. The ravine is that of scripts/picture.py; the pixels are computed from the function itself.
"""

import math
import pathlib
import struct
import sys
import zlib

import picture

SIZE, CORNER = 64, 13
X0, X1, Y0, Y1 = -1.75, 1.75, -0.85, 2.65
LEVELS = [0.35 * 3.2**k for k in range(7)]
# Few stops, so that they are seen at 32 pixels: along the bottom of the ravine to its end.
PATH = [(-1.25, 1.5), (-0.72, 0.56), (0.0, 0.02), (0.62, 0.36), (1.0, 1.0)]


def at(p):
    return (p[0] - X0) / (X1 - X0) * SIZE, (Y1 - p[1]) / (Y1 - Y0) * SIZE


def svg():
    picture.at = at
    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {SIZE} {SIZE}">',
        f'<clipPath id="edge"><rect width="{SIZE}" height="{SIZE}" rx="{CORNER}"/></clipPath>',
        f'<g clip-path="url(#edge)"><rect width="{SIZE}" height="{SIZE}" fill="{picture.colour(1)}"/>',
    ]
    for k, level in reversed(list(enumerate(LEVELS))):
        out.append(f'<path d="{picture.contour(level)}" fill="{picture.colour(k / len(LEVELS))}"/>')
    out.append(f'<path d="{picture.polyline(PATH)}" fill="none" stroke="#fff" stroke-width="3.4" stroke-linejoin="round" stroke-linecap="round"/>')
    x, y = at(PATH[-1])
    out.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="5.4" fill="#ffd166"/></g></svg>')
    return "\n".join(out) + "\n"


def distance(p, a, b):
    dx, dy = b[0] - a[0], b[1] - a[1]
    t = max(0, min(1, ((p[0] - a[0]) * dx + (p[1] - a[1]) * dy) / (dx * dx + dy * dy)))
    return math.hypot(p[0] - a[0] - t * dx, p[1] - a[1] - t * dy)


def colour(x, y):
    """Red, green, blue, opaque at a point of the square of 64."""
    dx, dy = (max(CORNER - v, v - (SIZE - CORNER), 0) for v in (x, y))
    if math.hypot(dx, dy) > CORNER:
        return 0, 0, 0, 0
    stops = [at(p) for p in PATH]
    if math.dist((x, y), stops[-1]) <= 5.4:
        return 255, 209, 102, 255
    if min(distance((x, y), a, b) for a, b in zip(stops, stops[1:])) <= 1.7:
        return 255, 255, 255, 255
    f = picture.value((X0 + x / SIZE * (X1 - X0), Y1 - y / SIZE * (Y1 - Y0)))
    u = next((k / len(LEVELS) for k, level in enumerate(LEVELS) if f <= level), 1)
    text = picture.colour(u)
    return int(text[1:3], 16), int(text[3:5], 16), int(text[5:7], 16), 255


def png(pixels, fine=6):
    rows = bytearray()
    for i in range(pixels):
        rows.append(0)
        for j in range(pixels):
            total = [0, 0, 0, 0]
            for a in range(fine):
                for b in range(fine):
                    r, g, b_, o = colour((j + (b + 0.5) / fine) * SIZE / pixels, (i + (a + 0.5) / fine) * SIZE / pixels)
                    # Colours count as much as they are opaque.
                    for k, v in enumerate((r * o / 255, g * o / 255, b_ * o / 255, o)):
                        total[k] += v
            cover = total[3] / 255 or 1
            rows += bytes([round(total[0] / cover), round(total[1] / cover), round(total[2] / cover), round(total[3] / fine**2)])

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", pixels, pixels, 8, 6, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(bytes(rows), 9)) + chunk(b"IEND", b"")


if __name__ == "__main__":
    folder = pathlib.Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "logo.svg").write_text(svg())
    for pixels in (32, 64):
        (folder / f"logo-{pixels}.png").write_bytes(png(pixels))
