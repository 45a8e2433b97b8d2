/** Configures the process. Must be the first import, because other modules read these settings when they are loaded. */
import { setFlagsFromString } from 'node:v8';

// `graphql` reads it when it is loaded. Unless it is `production`, each check of a type also looks for a second copy of the
// library, which takes a quarter of the time of a large answer.
process.env['NODE_ENV'] ??= 'production';

// If much survives while the server is warming up, V8 decides for good that what such code allocates is long-lived, and puts
// it into the old generation from the start. In one start of four this happened to whole requests: collections took three times as long.
setFlagsFromString('--no-allocation-site-pretenuring');
