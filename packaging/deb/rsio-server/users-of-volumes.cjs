// Reads `rsadm client list --json` from its input and prints the clients that have volumes attached: `big-2 (db, logs), big-3 (mail)`.
// The package's prerm asks for these clients before it removes a running server.

const { readFileSync } = require('node:fs');

const { clients } = JSON.parse(readFileSync(0, 'utf8'));
const users = clients.filter(({ volumes }) => volumes.length > 0).map(({ name, volumes }) => `${name} (${volumes.join(', ')})`);
if (users.length > 0) console.log(users.join(', '));
