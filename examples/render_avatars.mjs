// Renders drawn faces like those of avatars96.tar: node render_avatars.mjs FOLDER FIRST LAST [SIDE]
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { createAvatar } from "@dicebear/core";
import { toonHead } from "@dicebear/collection";
import { Resvg } from "@resvg/resvg-js";

const [folder, first, last, side = "128"] = process.argv.slice(2);
const backgroundColor = ["b6e3f4", "c0aede", "d1d4f9", "ffd5dc", "ffdfbf", "c8e6c9", "fff3b0"];

mkdirSync(folder, { recursive: true });
for (let number = Number(first); number <= Number(last); number++) {
  const svg = createAvatar(toonHead, { seed: `toonHead-${number}`, backgroundColor }).toString();
  const png = new Resvg(svg, { fitTo: { mode: "width", value: Number(side) } }).render().asPng();
  writeFileSync(join(folder, `toonHead_${String(number).padStart(5, "0")}.png`), png);
}
