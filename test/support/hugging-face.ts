/**
 * Tiny models, most in the layout of the Hugging Face Hub, at least one for each output type. Their weights are set by hand, so
 * that a short calculation, given with each model, yields every answer.
 */
import { fileModels } from './hugging-face/file-models.ts';
import type { Folder } from './hugging-face/folder.ts';
import { imageModels } from './hugging-face/image-models.ts';
import { textModels } from './hugging-face/text-models.ts';

/** The folders by model name, ready to be written to a store. */
export function huggingFaceFolders(): Record<string, Folder> {
  return { ...textModels(), ...imageModels(), ...fileModels() };
}
