// The client's file as the manual shows it, to the byte: what edits, verbs, join and crsio must all arrive at from nothing, and what the
// reader takes. Leaves other texts to the tests themselves.

export const SAMPLE_RSCLTCFG = `[defaults]
protocol      = tcp
port          = 5000

[interface if0]
address       = 192.168.45.20

[interface if1]
address       = 192.168.46.20

[namespace osl]
namespaceid   = 200
nodename      = big-2
nodekey       = 0xbig-2

[server big-9-1]
address       = 192.168.45.10

[server big-9-2]
address       = 192.168.46.10
`;
