/** Rights on a test broker that counts them (`rights` of provideKafka), given and taken by its operator. */
import {
  AclOperationTypes,
  AclPermissionTypes,
  AclResourceTypes,
  type Admin,
  ResourcePatternTypes,
} from 'kafkajs';

export type Right = {
  readonly on: 'topic' | 'group';
  readonly name: string;
  readonly to: 'read' | 'write';
  readonly user: string;
};

const RESOURCES = { topic: AclResourceTypes.TOPIC, group: AclResourceTypes.GROUP } as const;
const OPERATIONS = { read: AclOperationTypes.READ, write: AclOperationTypes.WRITE } as const;

const entryOf = ({ on, name, to, user }: Right) => ({
  resourceType: RESOURCES[on],
  resourceName: name,
  resourcePatternType: ResourcePatternTypes.LITERAL,
  operation: OPERATIONS[to],
  permissionType: AclPermissionTypes.ALLOW,
  principal: `User:${user}`,
  host: '*',
});

/** A topic or group on which anybody has a right is closed to whoever has none. */
export const grant = async (admin: Admin, rights: readonly Right[]): Promise<void> => {
  await admin.createAcls({ acl: rights.map(entryOf) });
};

export const revoke = async (admin: Admin, rights: readonly Right[]): Promise<void> => {
  await admin.deleteAcls({ filters: rights.map(entryOf) });
};
