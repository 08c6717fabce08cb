import { userInfo } from 'node:os';

/** Who is at the keyboard, behind sudo and ssh. */
export const who = (): string => {
  const { SUDO_USER: sudo, SSH_CONNECTION: ssh } = process.env;
  const name = sudo ?? userInfo().username;
  return ssh === undefined ? name : `${name} from ${ssh.split(' ')[0]}`;
};
