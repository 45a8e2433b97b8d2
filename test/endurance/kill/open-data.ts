/** Opens a data folder, which migrates it, and closes it. `node test/endurance/kill/open-data.ts <data folder>` */
import { openDatabases } from '#src/storage/database.js';

const databases = await openDatabases(process.argv[2] ?? '');
await databases.close();
