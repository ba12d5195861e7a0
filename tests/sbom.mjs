// What sanimon is made of, as CycloneDX 1.5: every crate of the release and every npm package of the console, from the lock
// files. `node tests/sbom.mjs > sbom.json`
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
const metadata = JSON.parse(
  execFileSync('cargo', ['metadata', '--locked', '--format-version', '1'], { cwd: root, maxBuffer: 1 << 28 }),
);
// Only what ends in the binary: no development and no build dependencies.
const packages = new Map(metadata.packages.map((known) => [known.id, known]));
const nodes = new Map(metadata.resolve.nodes.map((node) => [node.id, node]));
const binary = metadata.packages.find((known) => known.name === 'sanimon');
const reached = new Set();
const waiting = [binary.id];
while (waiting.length) {
  const id = waiting.pop();
  if (reached.has(id)) continue;
  reached.add(id);
  for (const dependency of nodes.get(id).deps) {
    if (dependency.dep_kinds.some((kind) => kind.kind === null)) waiting.push(dependency.pkg);
  }
}
const crates = [...reached].map((id) => packages.get(id)).filter((known) => known.id !== binary.id);
const component = (type, name, version, license) => ({
  type: 'library',
  name,
  version,
  purl: `pkg:${type}/${name.replace('@', '%40')}@${version}`,
  ...(license ? { licenses: [{ expression: license.replaceAll('/', ' OR ') }] } : {}),
});
const lock = JSON.parse(readFileSync(join(root, 'dashboards/console/package-lock.json'), 'utf8'));
const npm = Object.entries(lock.packages)
  .filter(([path, known]) => path && !known.dev)
  .map(([path, known]) => component('npm', path.split('node_modules/').pop(), known.version, known.license));
const components = [
  ...crates.map((known) => component('cargo', known.name, known.version, known.license)),
  ...npm,
].sort((a, b) => a.purl.localeCompare(b.purl));
console.log(
  JSON.stringify(
    {
      bomFormat: 'CycloneDX',
      specVersion: '1.5',
      version: 1,
      metadata: {
        component: { type: 'application', name: 'sanimon', version: binary.version, licenses: [{ expression: binary.license }] },
      },
      components,
    },
    null,
    1,
  ),
);
