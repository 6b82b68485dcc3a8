// Icons, drawn here: 16 units square, one stroke, decorative (the button beside them has the name).

const PATHS = {
  auto: "M8 2a6 6 0 1 0 0 12V2z",
  chevron: "m4 6 4 4 4-4",
  clock: "M8 4.500V8l2.500 1.500M8 2a6 6 0 1 0 0 12A6 6 0 0 0 8 2z",
  close: "m4 4 8 8m0-8-8 8",
  copy: "M6 6h7v7H6zM10 6V3H3v7h3",
  down: "M8 3v10m-4-4 4 4 4-4",
  left: "m10 4-4 4 4 4",
  minus: "M3.500 8h9",
  moon: "M13 9.500A5.500 5.500 0 0 1 6.500 3 5.500 5.500 0 1 0 13 9.500z",
  more: "M3.500 8h.01M8 8h.01M12.500 8h.01",
  plus: "M8 3.500v9M3.500 8h9",
  refresh: "M13 8a5 5 0 1 1-1.500-3.550M13 2.500v3h-3",
  right: "m6 4 4 4-4 4",
  search: "M7 3a4 4 0 1 0 0 8 4 4 0 0 0 0-8zm3 7 3.500 3.500",
  sun: "M8 5.200a2.800 2.800 0 1 0 0 5.600 2.800 2.800 0 0 0 0-5.600zM8 1.500v1.200m0 10.600v1.200M1.500 8h1.200m10.600 0h1.200M3.400 3.400l.9.9m7.400 7.400.9.9m0-9.200-.9.9M4.300 11.700l-.9.9",
  undo: "M3 7h6.500a3.500 3.500 0 0 1 0 7H7M3 7l3-3M3 7l3 3",
} as const;

export function Icon({ name }: { name: keyof typeof PATHS }) {
  return (
    <svg class="icon" viewBox="0 0 16 16" aria-hidden="true" data-icon={name}>
      <path d={PATHS[name]} />
    </svg>
  );
}
