/**
 * What tests run in: Node, with a way to import modules outside of the context that each test file has. There a service is compiled
 * once, and not for each file.
 */
import os from 'node:os';
import path from 'node:path';
import { TestEnvironment } from 'jest-environment-node';

// Read by the shared modules, and by `faults.ts` in each context.
process.env.FAULT_FILE = path.join(os.tmpdir(), `modelgraph-fault-${process.pid}`);

export default class SharedModulesEnvironment extends TestEnvironment {
  constructor(config, context) {
    super(config, context);
    this.global.importShared = (specifier) => import(specifier);
  }
}
