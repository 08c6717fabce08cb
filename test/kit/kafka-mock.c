// A mock cluster of librdkafka, for faults that one real broker cannot have: leaders that move, nodes that go
// and come, answers that are late. It keeps records in memory and does not recognise repeats.
// usage: kafka-mock <brokers> [topic:partitions ...]; prints its addresses, then reads commands, answers ok:
// down <id> | up <id> | rtt <id> <ms> | leader <topic> <partition> <id>. It ends with its standard input.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>

int main(int argc, char **argv) {
  char error[512], line[256], topic[128];
  int a, b;
  rd_kafka_conf_t *conf = rd_kafka_conf_new();
  rd_kafka_conf_set(conf, "log_level", "0", error, sizeof error);
  rd_kafka_t *rk = rd_kafka_new(RD_KAFKA_PRODUCER, conf, error, sizeof error);
  if (rk == NULL) return fprintf(stderr, "%s\n", error), 1;
  rd_kafka_mock_cluster_t *cluster = rd_kafka_mock_cluster_new(rk, argc > 1 ? atoi(argv[1]) : 1);
  for (int k = 2; k < argc; k++) {
    char *colon = strchr(argv[k], ':');
    int partitions = 1;
    if (colon != NULL) {
      *colon = 0;
      partitions = atoi(colon + 1);
    }
    rd_kafka_mock_topic_create(cluster, argv[k], partitions, 1);
  }
  printf("%s\n", rd_kafka_mock_cluster_bootstraps(cluster));
  fflush(stdout);
  while (fgets(line, sizeof line, stdin) != NULL) {
    if (sscanf(line, "down %d", &a) == 1) rd_kafka_mock_broker_set_down(cluster, a);
    else if (sscanf(line, "up %d", &a) == 1) rd_kafka_mock_broker_set_up(cluster, a);
    else if (sscanf(line, "rtt %d %d", &a, &b) == 2) rd_kafka_mock_broker_set_rtt(cluster, a, b);
    else if (sscanf(line, "leader %127s %d %d", topic, &a, &b) == 3)
      rd_kafka_mock_partition_set_leader(cluster, topic, a, b);
    puts("ok");
    fflush(stdout);
  }
  rd_kafka_mock_cluster_destroy(cluster);
  rd_kafka_destroy(rk);
}
