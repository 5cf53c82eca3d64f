// The rules for packages and folders, as pure functions over the sources: which imports are allowed between packages, layers and floors, no
// import circles between files or folders (type imports count), no crowded folders, and no folder for a single file. In test/, the rules
// for circles and crowded folders apply. tidy.mjs reads the files and prints. Invariant: a folder that no table names is reported, so that
// every layer is placed on purpose.

import { dirname, join } from 'node:path/posix';

/**
 * The packages that a package may import. Programs never import each other. csi, gates, rsapp and rsweb are satellites: nothing imports them,
 * and `npm test` in the folder of a satellite runs its tests alone; so it does for appliance, which rsadm and crsio show.
 */
const PACKAGES = {
  base: [],
  common: ['base'],
  api: ['base', 'common'],
  protocol: ['base', 'common'],
  appliance: ['base', 'common'],
  rssrv: ['base', 'common', 'api', 'protocol'],
  rsiod: ['base', 'common', 'api', 'protocol'],
  gates: ['base', 'common', 'api', 'protocol', 'rsiod'],
  rsconfig: ['base', 'common', 'api', 'protocol'],
  rsadm: ['base', 'common', 'api', 'appliance'],
  crsio: ['base', 'common', 'api', 'protocol', 'appliance'],
  rsapp: ['base', 'common', 'api'],
  rsweb: ['base', 'common', 'api'],
  csi: ['base', 'common', 'api'],
};
/**
 * Programs whose folders directly below src/ are floors, from the top: each imports lower floors only. The folders of other programs have
 * no fixed order.
 */
const FLOORS = {
  rssrv: [
    'listener',
    'server',
    'admin',
    'session',
    'replication',
    'jobs',
    'mirrors',
    'snapshots',
    'volumes',
    'pools',
    'farm',
    'storage',
    'machine',
    'events',
  ],
};
/** Layers: the folders directly below src/, and the layers that each may import. */
const LAYERS = {
  base: {
    lib: [],
    structures: ['lib'],
    log: ['lib'],
    files: ['lib'],
    daemon: ['lib', 'log', 'files'],
  },
  common: {
    config: [],
    control: [],
    metrics: [],
    events: ['control'],
    triggers: ['config'],
    cli: ['config', 'control'],
  },
  api: {
    views: [],
    rsiod: ['views'],
    rsapp: ['rsiod'],
    rssrv: ['views', 'rsiod'],
    manage: ['views', 'rssrv', 'rsiod', 'rsapp'],
  },
  protocol: {
    '': ['wire', 'auth', 'link', 'client', 'mirror', 'explorer'],
    wire: [],
    auth: ['wire'],
    link: ['wire'],
    client: ['wire', 'auth', 'link'],
    mirror: ['wire', 'link', 'client'],
    explorer: ['wire', 'auth', 'link'],
  },
  rssrv: layersOf(FLOORS.rssrv),
};
const FILES_PER_FOLDER_MAX = 25;
/** Minimum number of files in a folder below src/ of a program with floors. */
const FILES_PER_FOLDER_MIN = 2;
const IMPORT = /(?:\bfrom|\bimport)\s*\(?\s*'([^'\n]+)'/g;

/** Returns floors as layers. Files directly in src/ may import all floors. */
function layersOf(floors) {
  return { '': floors, ...Object.fromEntries(floors.map((floor, index) => [floor, floors.slice(index + 1)])) };
}

/** True for production code: a file in a package that is not a test helper. */
export function isProduct(path) {
  return /^packages\/[^/]+\/src\/.+\.ts$/.test(path) && !path.endsWith('.test.ts') && !/\/testing\//.test(path);
}

/** True for a file in test/ that supports tests of several packages and is not a test itself. */
function isTestSupport(path) {
  return /^test\/.+\.ts$/.test(path) && !path.endsWith('.test.ts');
}

/** The files that a source imports, types included, as paths from the root. Third-party packages are omitted. */
export function importsOf(path, text) {
  return [...text.matchAll(IMPORT)].flatMap(([, specifier]) => {
    if (specifier.startsWith('.')) return [join(dirname(path), specifier)];
    const [, name, rest] = /^@rsio\/([^/]+)\/(.+)$/.exec(specifier) ?? [];
    return name === undefined ? [] : [`packages/${name}/src/${rest}.ts`];
  });
}

/**
 * Returns the problems of all production files and of all folders of test/, as `{path, text}`. `sources`: a Map from path to text; other
 * files are ignored.
 */
export function roomProblems(sources) {
  const imports = new Map();
  const ofTests = new Map();
  for (const [path, text] of sources) {
    if (isProduct(path)) imports.set(path, importsOf(path, text));
    else if (isTestSupport(path)) ofTests.set(path, importsOf(path, text));
  }
  return [
    ...layerProblems(imports),
    ...unevenFolders([...imports.keys(), ...ofTests.keys()]),
    ...fileCircles(imports),
    ...folderCircles(imports),
    ...folderCircles(ofTests),
  ];
}

function* layerProblems(imports) {
  for (const [path, targets] of imports) {
    const from = placeOf(path);
    if (!(from.package in PACKAGES)) {
      yield {
        path,
        text: `Package ${from.package} is not in the table of packages: add it to scripts/rooms.mjs`,
      };
      continue;
    }
    const layers = LAYERS[from.package];
    if (layers !== undefined && !(from.layer in layers)) {
      yield { path, text: `Folder ${from.layer || 'src'} is not a layer: add it to scripts/rooms.mjs` };
      continue;
    }
    for (const target of targets) {
      const to = placeOf(target);
      if (to.package !== from.package) {
        if (!PACKAGES[from.package].includes(to.package)) yield { path, text: `${from.package} may not import ${target}` };
      } else if (layers !== undefined && to.layer !== from.layer && !layers[from.layer].includes(to.layer)) {
        yield { path, text: `Layer ${from.layer} may not import ${target}` };
      }
    }
  }
}

function placeOf(path) {
  const [, name = '', layer = ''] = /^packages\/([^/]+)\/src\/(?:([^/]+)\/)?/.exec(path) ?? [];
  return { package: name, layer };
}

function* unevenFolders(paths) {
  const counts = new Map();
  for (const path of paths) counts.set(dirname(path), (counts.get(dirname(path)) ?? 0) + 1);
  for (const [folder, count] of counts) {
    if (count > FILES_PER_FOLDER_MAX) {
      yield {
        path: folder,
        text: `${count} files in one folder, more than ${FILES_PER_FOLDER_MAX}: group them in folders`,
      };
    }
    const { package: name, layer } = placeOf(`${folder}/`);
    if (name in FLOORS && layer !== '' && count < FILES_PER_FOLDER_MIN) {
      yield { path: folder, text: 'A folder for one file: put the file into a folder of the same subject' };
    }
  }
}

function* fileCircles(imports) {
  for (const circle of circles(imports)) {
    yield { path: circle[0], text: `These files import each other in a circle (types count): ${circle.join(', ')}` };
  }
}

/**
 * Yields the circles between folders. Imports of a limits.ts do not count, because a limits.ts has the bounds of the folders below it and
 * imports none of these folders.
 */
function* folderCircles(imports) {
  const folders = new Map();
  for (const [path, targets] of imports) {
    const from = dirname(path);
    if (!folders.has(from)) folders.set(from, []);
    for (const target of targets) {
      const isBounds = target.endsWith('/limits.ts');
      if (dirname(target) !== from && imports.has(target) && !isBounds) folders.get(from).push(dirname(target));
    }
  }
  for (const circle of circles(folders)) {
    yield { path: circle[0], text: `These folders import each other in a circle: ${circle.join(', ')}` };
  }
}

/**
 * Returns the circles of a graph, each as a sorted list of its members (Tarjan's strongly connected components). `edges`: a Map from node
 * to nodes.
 */
export function circles(edges) {
  const found = [];
  const numbers = new Map();
  const lows = new Map();
  const stack = [];
  const visit = (node) => {
    numbers.set(node, numbers.size);
    lows.set(node, numbers.get(node));
    stack.push(node);
    for (const next of edges.get(node) ?? []) {
      if (!edges.has(next)) continue;
      if (!numbers.has(next)) visit(next);
      if (stack.includes(next)) lows.set(node, Math.min(lows.get(node), lows.get(next)));
    }
    if (lows.get(node) !== numbers.get(node)) return;
    const members = stack.splice(stack.indexOf(node));
    if (members.length > 1) found.push(members.sort((a, b) => (a < b ? -1 : 1)));
  };
  for (const node of edges.keys()) if (!numbers.has(node)) visit(node);
  return found;
}
