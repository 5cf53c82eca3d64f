// Loaded into rsiod before it starts (`NODE_OPTIONS=--import`): a client that connects to 127.0.0.1:10809 reaches the NBD frontend, as if
// it had connected to the Unix socket. Everything else is unchanged. Only the bench does this, because a gate is reached by TCP, and a Unix
// socket costs less for each byte. Invariant: the NBD frontend's own code serves both kinds of connections.

import { basename } from 'node:path';
import { createServer, Server } from 'node:net';

const NBD_SOCKET_FILE = 'nbd';
export const NBD_BY_TCP = { host: '127.0.0.1', port: 10_809 } as const;

const listen: unknown = Reflect.get(Server.prototype, 'listen');

Server.prototype.listen = function (this: Server, ...args: unknown[]): Server {
  const [path] = args;
  if (typeof path === 'string' && basename(path) === NBD_SOCKET_FILE) besides(this).listen(NBD_BY_TCP);
  if (typeof listen === 'function') Reflect.apply(listen, this, args);
  return this;
};

function besides(server: Server): Server {
  // Node's types do not have the options of a server.
  const options = {
    allowHalfOpen: Reflect.get(server, 'allowHalfOpen') === true,
    pauseOnConnect: Reflect.get(server, 'pauseOnConnect') === true,
    noDelay: true,
  };
  const tcp = createServer(options, (socket) => server.emit('connection', socket));
  server.once('close', () => tcp.close());
  return tcp.unref();
}
