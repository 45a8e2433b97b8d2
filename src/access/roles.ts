/** The roles that a key can have. `policy.ts` says what they allow. */
export const ROLES = ['viewer', 'predictor', 'publisher', 'evaluator', 'auditor', 'admin'] as const;
export type Role = (typeof ROLES)[number];

export const ROLE_DESCRIPTIONS: Readonly<Record<Role, string>> = {
  viewer: 'Reads the catalog.',
  predictor: 'Reads the catalog, runs models, and reads the predictions of its account.',
  publisher: 'Reads the catalog, uploads files, and publishes models of its account.',
  evaluator: 'Reads the catalog. Reserved for evaluating models.',
  auditor: 'Reads the catalog and the audit log.',
  admin: 'Everything, including aliases, memory, metrics and keys.',
};
