// Lays the browser clients that Hubbub serves into src/hubbub/static, with the licences of all that is in them.
//
// Rules:
// 1. What others made is served as they published it, byte for byte; our own client is bundled from client/.
// 2. What a bundle is made of is read from its source map, or is its package alone if that has no dependencies; so no licence is
//    forgotten, and one that is missing is an error.
import { cp, mkdir, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const here = dirname(fileURLToPath(import.meta.url));
const packages = join(here, "node_modules");
const target = join(here, "..", "src", "hubbub", "static");

/** Which folder of which package is served where, and where its source maps say that its parts come from. */
const CLIENTS = [
  {
    name: "socket.io-client",
    from: "dist",
    files: /^socket\.io(\.esm|\.msgpack)?(\.min)?\.js(\.map)?$/,
    to: "socket.io",
    part: /^\.\.\/(?:\.\.\/(?:\.\.\/node_modules\/)?([^./][^/]*)|(build))\//,
    renamed: { build: "socket.io-client", "socket.io-component-emitter": "@socket.io/component-emitter" },
  },
  {
    name: "phoenix",
    from: "priv/static",
    files: /^phoenix(\.min)?\.js$|^phoenix\.mjs(\.map)?$/,
    to: "phoenix",
    part: /^\.\.\/\.\.\/(assets)\//,
    renamed: { assets: "phoenix" },
  },
  {
    name: "sockjs-client",
    from: "dist",
    files: /^sockjs(\.min)?\.js(\.map)?$/,
    to: "sockjs",
    part: /^(?:node_modules\/([^/]+)|(lib))\//, // browser-pack, which wraps it, has left a few lines of its own
    renamed: { lib: "sockjs-client" },
  },
  {
    name: "uplot", // the curves of demos; published without source maps, and without dependencies
    from: "dist",
    files: /^uPlot\.(iife\.min\.js|min\.css)$/,
    to: "uplot",
  },
];

for (const client of CLIENTS) {
  const source = join(packages, client.name, client.from);
  const folder = join(target, client.to);
  const files = (await readdir(source)).filter((file) => client.files.test(file));
  await rm(folder, { recursive: true, force: true });
  await mkdir(folder, { recursive: true });
  for (const file of files) await cp(join(source, file), join(folder, file));
  const parts = await partsOf(client, source, files);
  await writeFile(join(folder, "LICENSES.txt"), (await Promise.all(parts.map(licence))).join("\n\n"));
  console.log(`static/${client.to}: ${files.length} files of ${client.name}, made of ${parts.join(", ")}`);
}

await ours(join(here, "client"), join(target, "hubbub"));

/** Our own client, to be read and to be loaded. */
async function ours(source, folder) {
  const { name, version, license } = JSON.parse(await readFile(join(source, "package.json"), "utf8"));
  const bundle = {
    entryPoints: [join(source, "hubbub.js")], bundle: true, format: "esm", target: "es2022", legalComments: "none",
    banner: { js: `/*! ${name} ${version}, ${license} */` },
  };
  await rm(folder, { recursive: true, force: true });
  await build({ ...bundle, outfile: join(folder, "hubbub.js") });
  await build({ ...bundle, outfile: join(folder, "hubbub.min.js"), minify: true, mangleProps: /^_/, sourcemap: true });
  console.log(`static/hubbub: ${name} ${version}`);
}

/** The packages that are in these bundles. */
async function partsOf(client, source, files) {
  if (client.part === undefined) return [await alone(client.name)];
  const found = new Set();
  for (const file of files.filter((file) => file.endsWith(".map"))) {
    for (const path of JSON.parse(await readFile(join(source, file), "utf8")).sources) {
      const match = client.part.exec(path);
      if (match === null) throw new Error(`${file} holds ${path}, and of which package that is cannot be told`);
      const name = match[1] ?? match[2];
      found.add(client.renamed[name] ?? name);
    }
  }
  return [...found].sort();
}

/** A package that is made of nothing else. */
async function alone(name) {
  const { dependencies = {} } = JSON.parse(await readFile(join(packages, name, "package.json"), "utf8"));
  if (Object.keys(dependencies).length) throw new Error(`${name} has dependencies now, and what is in it cannot be told`);
  return name;
}

/** A package's name, version and licence. */
async function licence(name) {
  const folder = join(packages, name);
  const { version } = JSON.parse(await readFile(join(folder, "package.json"), "utf8"));
  const file = (await readdir(folder)).find((file) => /^(licen[cs]e|copying)/i.test(file));
  if (file === undefined) throw new Error(`${name} ${version} comes without a licence`);
  return `${name} ${version}\n\n${(await readFile(join(folder, file), "utf8")).trim()}\n`;
}
