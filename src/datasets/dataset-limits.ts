/** What a dataset may have at most. Whoever reads one holds a part of it only, whatever its size. */
const MIB = 1024 ** 2;

/** Of the file, and of what it unpacks to. */
export const MAX_DATASET_BYTES = 1024 * MIB;
/** Of a dataset that is part of a request. */
export const MAX_CONTENT_BYTES = MIB;
export const MAX_ROWS = 2_000_000;
/** A row is in memory as a whole. */
export const MAX_ROW_BYTES = 8 * MIB;
export const MAX_COLUMNS = 2_000;
export const MAX_NAME_CHARACTERS = 200;
/** Of an image, as a file. */
export const MAX_IMAGE_BYTES = 8 * MIB;
/** Different ones that are no part of their rows. */
export const MAX_IMAGES = 50_000;
/** Of these together. */
export const MAX_BYTES_OF_IMAGES = 4 * 1024 * MIB;
/** An image of at most as many bytes is a part of its row. */
export const MAX_INLINE_BYTES = 4 * 1024;
/** Of a row whose images have URLs: it is parsed whenever one is read. */
export const MAX_PICTURE_ROW_BYTES = 256 * 1024;
/** Different values of a column of the type CATEGORY. */
export const MAX_CATEGORIES = 10_000;
/** Nested lists and objects of a value. */
export const MAX_LEVELS = 16;
/** Rows are read until as many problems are found. */
export const MAX_PROBLEMS = 20;

/** Of a piece, whichever is reached first. A row that is larger is a piece of its own. */
export const PIECE_ROWS = 1_000;
export const PIECE_BYTES = MIB;

export const PREVIEW_ROWS = 100;
export const PREVIEW_CHARACTERS = 200_000;
