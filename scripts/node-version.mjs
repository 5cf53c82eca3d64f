// Stops with one clear sentence when this Node is too old to run the project. Imported first by every script that a person starts.
// Leaves everything else to prepare.mjs, and itself uses nothing that an older Node lacks.

const NEEDED = [20, 19];

const [major, minor] = process.versions.node.split('.').map(Number);
if (major < NEEDED[0] || (major === NEEDED[0] && minor < NEEDED[1])) {
  console.error(`rsio: Node ${process.versions.node} is too old: install Node ${NEEDED.join('.')} or newer [E_SYSTEM]`);
  process.exit(1);
}
