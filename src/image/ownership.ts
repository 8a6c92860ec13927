/** A range of ids as runtime-spec's linux.uidMappings has it. */
export interface IdMapping {
  readonly containerID: number;
  readonly hostID: number;
  readonly size: number;
}

export interface IdMappings {
  readonly uids: readonly IdMapping[];
  readonly gids: readonly IdMapping[];
}
