// Colours of lines, checked for contrast against both backgrounds in the tests. Neighbours differ in
// lightness as well as in hue, so that they can be told apart without colour vision.

export const BACKGROUND = { light: "#ffffff", dark: "#161d25" } as const;

const LIGHT = [
  "#1b6fb0",
  "#c2500a",
  "#15803d",
  "#8b3fd9",
  "#a16207",
  "#0e7490",
  "#be1849",
  "#567a0e",
  "#4338ca",
  "#b52bb0",
  "#7a4a1d",
  "#0f766e",
  "#5b6672",
  "#d6336c",
  "#2563eb",
  "#b91c1c",
];
const DARK = [
  "#5ba8e6",
  "#f28b4b",
  "#5cc98a",
  "#b995f5",
  "#e8b54a",
  "#4cc3d9",
  "#f47f97",
  "#a5cf5b",
  "#8f9bf5",
  "#e58ae8",
  "#d6a96a",
  "#49c9b3",
  "#a8b3bf",
  "#f48cc0",
  "#7fb2ff",
  "#f2705f",
];

export function seriesColor(index: number, dark: boolean): string {
  const colors = dark ? DARK : LIGHT;
  return colors[index % colors.length] ?? colors[0] ?? "#888888";
}

export const COLOR_COUNT = LIGHT.length;

/** Lines and texts of the chart itself. */
export function inkColors(dark: boolean): { text: string; grid: string; axis: string } {
  return dark
    ? { text: "#a3b0bd", grid: "#26303a", axis: "#3a4652" }
    : { text: "#55616e", grid: "#eaedf0", axis: "#c5ccd3" };
}
