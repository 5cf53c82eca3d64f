// Stops with one clear message if this Node is too old for the project. Every script that a developer starts imports this module first, so
// this module uses only features of old Node versions.

const NEEDED = [20, 19];

const [major, minor] = process.versions.node.split('.').map(Number);
if (major < NEEDED[0] || (major === NEEDED[0] && minor < NEEDED[1])) {
  console.error(`rsio: Node ${process.versions.node} is too old: install Node ${NEEDED.join('.')} or newer [E_SYSTEM]`);
  process.exit(1);
}
