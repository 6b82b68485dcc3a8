import { expect, test } from "vitest";
import { BACKGROUND, COLOR_COUNT, inkColors, seriesColor } from "./palette";

function luminance(color: string): number {
  const channel = (at: number) => {
    const value = Number.parseInt(color.slice(at, at + 2), 16) / 255;
    return value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
  };
  return 0.2126 * channel(1) + 0.7152 * channel(3) + 0.0722 * channel(5);
}

function contrast(a: string, b: string): number {
  const [light, dark] = [luminance(a), luminance(b)].sort((x, y) => y - x) as [number, number];
  return (light + 0.05) / (dark + 0.05);
}

test("lines stand out from the background, and texts can be read", () => {
  for (const dark of [false, true]) {
    const background = dark ? BACKGROUND.dark : BACKGROUND.light;
    for (let i = 0; i < COLOR_COUNT; i++)
      expect(contrast(seriesColor(i, dark), background)).toBeGreaterThan(3);
    expect(contrast(inkColors(dark).text, background)).toBeGreaterThan(4.5);
  }
});

test("colours repeat only after all were used", () => {
  for (const dark of [false, true]) {
    const colors = Array.from({ length: COLOR_COUNT }, (_, i) => seriesColor(i, dark));
    expect(new Set(colors).size).toBe(COLOR_COUNT);
    expect(seriesColor(COLOR_COUNT, dark)).toBe(colors[0]);
  }
});
