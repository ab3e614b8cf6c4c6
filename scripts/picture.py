#!/usr/bin/env python3
"""Draws docs/ravine.svg: Rosenbrock's ravine, gradient descent on it and Newton's method.

    python scripts/picture.py > docs/ravine.svg

Needs nothing but Python. Both paths are computed here, with the step counts that the picture states.
"""

import math

WIDTH, HEIGHT = 1000, 520
X0, X1, Y0, Y1 = -1.72, 1.62, -0.62, 1.92
LEVELS = [0.03 * 1.95**k for k in range(17)]
START = (-1.2, 1.0)

# From the bottom of the ravine to its rim: deep water, then the light of the slopes.
DEEP, SHALLOW, RIM = (9, 34, 66), (64, 150, 170), (243, 238, 222)


def value(p):
    return (1 - p[0]) ** 2 + 100 * (p[1] - p[0] ** 2) ** 2


def gradient(p):
    d = p[1] - p[0] ** 2
    return -2 * (1 - p[0]) - 400 * p[0] * d, 200 * d


def descent(steps, reach):
    """Steepest descent; every step goes `reach` times as far as the first lowest point along its line."""
    path = [START]
    for _ in range(steps):
        (x, y), g = path[-1], gradient(path[-1])
        along = lambda t: value((x - t * g[0], y - t * g[1]))
        low, t = 0.0, 1e-6
        while along(2 * t) < along(t):
            t *= 2
        high = 2 * t
        for _ in range(100):  # golden section
            a, b = high - (high - low) / 1.618034, low + (high - low) / 1.618034
            low, high = (low, b) if along(a) < along(b) else (a, high)
        t = reach * (low + high) / 2
        path.append((x - t * g[0], y - t * g[1]))
    return path


def newton():
    """Newton's method, each step halved until the value falls; ends at a gradient of 1e-10."""
    path = [START]
    while max(map(abs, gradient(path[-1]))) > 1e-10:
        x, y = path[-1]
        g = gradient((x, y))
        a, b, c = 1200 * x * x - 400 * y + 2, -400 * x, 200.0
        det = a * c - b * b
        step = -(c * g[0] - b * g[1]) / det, -(a * g[1] - b * g[0]) / det
        t = 1.0
        while value((x + t * step[0], y + t * step[1])) > value((x, y)):
            t /= 2
        path.append((x + t * step[0], y + t * step[1]))
    return path


def at(p):
    return (p[0] - X0) / (X1 - X0) * WIDTH, (Y1 - p[1]) / (Y1 - Y0) * HEIGHT


def spot(p):
    return "{:.1f},{:.1f}".format(*at(p))


def contour(level):
    """The level curve, exactly: x = 1 - r cos t, y = x^2 + r/10 sin t with r^2 = level, as cubic pieces."""
    r, pieces = math.sqrt(level), 40
    point, slope = [], []
    for k in range(pieces + 1):
        t = 2 * math.pi * k / pieces
        x, dx = 1 - r * math.cos(t), r * math.sin(t)
        point.append((x, x * x + r / 10 * math.sin(t)))
        slope.append((dx, 2 * x * dx + r / 10 * math.cos(t)))
    h = 2 * math.pi / pieces / 3
    path = "M" + spot(point[0])
    for k in range(pieces):
        (ax, ay), (bx, by) = point[k], point[k + 1]
        path += "C{} {} {}".format(
            spot((ax + h * slope[k][0], ay + h * slope[k][1])),
            spot((bx - h * slope[k + 1][0], by - h * slope[k + 1][1])),
            spot((bx, by)),
        )
    return path + "Z"


def colour(u):
    """0 at the bottom, 1 at the rim."""
    a, b, v = (DEEP, SHALLOW, 2 * u) if u < 0.5 else (SHALLOW, RIM, 2 * u - 1)
    return "#" + "".join("%02x" % round(p + (q - p) * v) for p, q in zip(a, b))


def polyline(path):
    return "M" + "L".join(spot(p) for p in path)


def main():
    slow, fast = descent(60, 1.9), newton()
    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" '
        'aria-label="A curved ravine: gradient descent bounces between its walls and hardly advances; Newton\'s method walks to its end.">',
        f'<clipPath id="frame"><rect width="{WIDTH}" height="{HEIGHT}" rx="14"/></clipPath>',
        '<g clip-path="url(#frame)">',
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="{colour(1)}"/>',
    ]
    for k, level in reversed(list(enumerate(LEVELS))):
        u = k / len(LEVELS)
        out.append(f'<path d="{contour(level)}" fill="{colour(u)}" stroke="{colour(max(0, u - 0.12))}" stroke-width=".7"/>')
    out += [
        f'<path d="{polyline(slow)}" fill="none" stroke="#e4572e" stroke-width="1.6" stroke-linejoin="round"/>',
        f'<path d="{polyline(fast)}" fill="none" stroke="#fff" stroke-width="2.6" stroke-linejoin="round" stroke-linecap="round"/>',
    ]
    out += ['<circle cx="{:.1f}" cy="{:.1f}" r="4.2" fill="#fff"/>'.format(*at(p)) for p in fast[1:]]
    (sx, sy), (gx, gy) = at(START), at((1, 1))
    text = 'font-family="Georgia, \'Times New Roman\', serif"'
    out += [
        f'<circle cx="{sx:.1f}" cy="{sy:.1f}" r="7" fill="#1b1b1b" stroke="#fff" stroke-width="2"/>',
        f'<circle cx="{gx:.1f}" cy="{gy:.1f}" r="9" fill="none" stroke="#ffd166" stroke-width="3"/>',
        f'<circle cx="{gx:.1f}" cy="{gy:.1f}" r="3" fill="#ffd166"/>',
        f'<text x="500" y="74" text-anchor="middle" {text} font-size="46" letter-spacing="10" fill="#123">RAVINE</text>',
        f'<text x="500" y="106" text-anchor="middle" {text} font-size="18" font-style="italic" fill="#123">a small typed language for optimization</text>',
        f'<text x="24" y="{sy + 92:.0f}" {text} font-size="17" fill="#8c2606">gradient descent:</text>',
        f'<text x="24" y="{sy + 114:.0f}" {text} font-size="17" fill="#8c2606">{len(slow) - 1} steps, still up here</text>',
        f'<text x="{gx - 88:.0f}" y="{gy + 190:.0f}" {text} font-size="17" fill="#123">Newton: {len(fast) - 1} steps, all the way</text>',
        "</g></svg>",
    ]
    print("\n".join(out))


if __name__ == "__main__":
    main()
