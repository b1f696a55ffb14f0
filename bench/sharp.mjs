// Renders with sharp's best cascade at Safelight's effort, for bench/render.py. Job and output are those of bench/peers.py.
//
//     node bench/sharp.mjs WARM_UP SOURCE DIRECTORY      (SHARP_AT names the folder where sharp is installed)
//
// A second decode, shrunk on load, gives 600 pixels for less than resizing the full size would.
import { createRequire } from "node:module";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const [warmUp, source, directory] = process.argv.slice(2);
const sharp = createRequire(join(process.env.SHARP_AT, "package.json"))("sharp");
sharp.concurrency(1);
sharp.cache(false);

async function render(from, into) {
  await sharp(from, { sequentialRead: true }).rotate().webp({ quality: 80, effort: 2 }).toFile(join(into, "full.webp"));
  let input = sharp(from, { sequentialRead: true }).rotate();
  for (const size of [600, 300, 150]) {
    const box = { width: size, height: size, fit: "inside", withoutEnlargement: true };
    const { data, info } = await input.resize(box).raw().toBuffer({ resolveWithObject: true });
    const raw = { width: info.width, height: info.height, channels: info.channels };
    await sharp(data, { raw }).jpeg({ quality: 85 }).toFile(join(into, `box${size}.jpg`));
    input = sharp(data, { raw });
  }
}

const elsewhere = mkdtempSync(join(tmpdir(), "safelight-bench-"));
await render(warmUp, elsewhere);
rmSync(elsewhere, { recursive: true });
writeFileSync("/proc/self/clear_refs", "5");
const cpu = process.cpuUsage();
const wall = performance.now();
await render(source, directory);
const used = process.cpuUsage(cpu);
const peak = 1024 * Number(/VmHWM:\s+(\d+)/.exec(readFileSync("/proc/self/status", "utf8"))[1]);
console.log(JSON.stringify({ cpu: (used.user + used.system) / 1e6, wall: (performance.now() - wall) / 1e3, peak }));
