/** Who the caller is. */
import { Field, ObjectType } from 'type-graphql';
import type { Role } from '../access/roles.js';
import { DateTime } from '../graphql/scalars.js';
import { ApiKey, RoleEnum } from './api-key.type.js';
import { QuotaLimits, QuotaUse } from './quota.type.js';

@ObjectType({ description: 'Access token of an OpenID issuer.' })
export class AccessToken {
  @Field({ description: 'Address of the issuer.' })
  issuer!: string;

  @Field({ description: 'Whom the token was issued to, as the issuer names them (`sub`).' })
  subject!: string;

  @Field(() => DateTime, { description: 'When the token expires. The server accepts it up to a minute longer.' })
  expiresAt!: Date;
}

@ObjectType({ description: 'Who sends the request.' })
export class Viewer {
  @Field(() => String, {
    nullable: true,
    description:
      'Account that owns the predictions of the caller; of a token, "oidc:" and a claim. Null for a request without a key or token, while the server asks for one.',
  })
  account!: string | null;

  @Field(() => [RoleEnum], {
    description:
      'What the caller may do. While the server has no keys and trusts no issuer, everybody on the same machine has all roles.',
  })
  roles!: Uppercase<Role>[];

  @Field(() => ApiKey, { nullable: true, description: 'Key of the request; null if it has none.' })
  key!: ApiKey | null;

  @Field(() => AccessToken, { nullable: true, description: 'Token of the request; null if it has none.' })
  token!: AccessToken | null;

  @Field(() => QuotaLimits, { nullable: true, description: 'Quotas of the caller; null if nothing is limited.' })
  limits!: QuotaLimits | null;

  @Field(() => QuotaUse, {
    nullable: true,
    description: 'What the caller has used today, from 00:00 UTC; null if nothing is limited, and so not counted.',
  })
  usage!: QuotaUse | null;
}
