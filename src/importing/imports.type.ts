import { Field, ObjectType } from 'type-graphql';
import { Policy } from '../access/policy.js';
import { enumOf } from '../graphql/enum.type.js';
import { DateTime } from '../graphql/scalars.js';
import type { ImportStage as Stage } from './import-progress.js';

const ImportStage = enumOf<Stage>('ImportStage', 'How far the import of a folder is.', {
  WAITING: 'The folder has changed. It is read once it has not changed for a second, and other folders may come first.',
  IMPORTING: 'The folder is read, and new versions are tried.',
  FINISHED: 'The import has ended. The versions of the model have their states.',
});

@Policy('operate')
@ObjectType('Import', {
  description: 'Import of a folder of the model store, at the start of the server or when the folder has changed.',
})
export class ImportStatus {
  @Field({ description: 'Name of the folder in the model store. `datasets` has the datasets and no model.' })
  folder!: string;

  @Field(() => ImportStage, { description: 'How far the import is.' })
  stage!: Stage;

  @Field(() => DateTime, { description: 'When the import reached this stage.' })
  since!: Date;

  @Field(() => String, {
    nullable: true,
    description:
      'Why the folder could not be imported, such as an error in model.yaml or a full disk, why it waits while its files keep changing, which published versions stay as they were although their files have changed, and the latest three versions that failed, with their reasons; null otherwise. `Version.stateReason` has the whole reasons.',
  })
  reason!: string | null;
}
