// Provides client configuration files for tests. The sample is identical, byte for byte, to the file in the manual. The reader must accept
// the sample. Edits, commands, join and crsio must be able to produce the sample from an empty file.

interface SampleOptions {
  /** Addresses of the client's two interfaces. */
  readonly near?: readonly string[];
  /** Addresses of the server's two interfaces. */
  readonly far?: readonly string[];
  readonly port?: number;
  readonly node?: string;
  readonly key?: string;
}

/** Returns the configuration file of a client with two interfaces and one namespace. The namespace has one server with two addresses. */
export function sampleRscltcfg(options: SampleOptions = {}): string {
  const { near = ['192.168.45.20', '192.168.46.20'], far = ['192.168.45.10', '192.168.46.10'] } = options;
  const { port = 5000, node = 'big-2', key = '0xbig-2' } = options;
  return `[defaults]
protocol      = tcp
port          = ${port}

[interface if0]
address       = ${near[0]}

[interface if1]
address       = ${near[1]}

[namespace osl]
namespaceid   = 200
nodename      = ${node}
nodekey       = ${key}

[server big-9-1]
address       = ${far[0]}

[server big-9-2]
address       = ${far[1]}
`;
}

export const SAMPLE_RSCLTCFG = sampleRscltcfg();

/**
 * Returns the shortest configuration file that has a login and a server. The lines in `namespace` are added to the [namespace] section, and
 * the sections in `more` are added at the end.
 */
export function smallRscltcfg(namespace = '', more = ''): string {
  const login = 'namespaceid = 200\nnodename = big-2\nnodekey = 0xa-secret-of-sixteen\n';
  return `[interface if0]\naddress = 10.0.1.1\n[namespace osl]\n${login}${namespace}[server s1]\naddress = 10.0.1.9\n${more}`;
}
