import org.apache.flink.api.common.RuntimeExecutionMode;
import org.apache.flink.api.common.eventtime.WatermarkStrategy;
import org.apache.flink.api.common.functions.OpenContext;
import org.apache.flink.api.common.functions.RichMapFunction;
import org.apache.flink.api.common.serialization.SimpleStringEncoder;
import org.apache.flink.api.common.state.MapState;
import org.apache.flink.api.common.state.MapStateDescriptor;
import org.apache.flink.api.common.state.ValueState;
import org.apache.flink.api.common.state.ValueStateDescriptor;
import org.apache.flink.api.common.typeinfo.TypeInformation;
import org.apache.flink.api.common.typeinfo.Types;
import org.apache.flink.configuration.Configuration;
import org.apache.flink.connector.file.sink.FileSink;
import org.apache.flink.connector.file.src.FileSource;
import org.apache.flink.connector.file.src.reader.TextLineInputFormat;
import org.apache.flink.core.fs.Path;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.databind.ObjectMapper;
import org.apache.flink.streaming.api.environment.StreamExecutionEnvironment;
import org.apache.flink.streaming.api.functions.KeyedProcessFunction;
import org.apache.flink.util.Collector;

/**
 * Job J on Apache Flink's DataStream API, in one process.
 *
 * <pre>FlinkJob INPUT_FOLDER OUTPUT_FOLDER CHECKPOINT_FOLDER PARALLELISM CHECKPOINT_MS</pre>
 *
 * Does: read lines, decode with Jackson, key by source, drop duplicates, order and sum in one keyed process
 * function, write files that appear when a checkpoint has completed: exactly once, as ours. State is kept on
 * the heap (the hashmap backend, the fastest) and objects are reused between chained operators (faster).
 * Does not: check anything, bound its memory.
 */
public class FlinkJob {
    public static class Event {
        public String plant, source, event_time, order, operation, work_center, scrap_reason, lot;
        public long seq, good_qty, scrap_qty, runtime_ms, energy_wh;
    }

    public static class Confirmation {
        public String plant, source, order, operation, work_center, lot, first_time, last_time;
        public long good_qty, scrap_qty, runtime_ms, energy_wh, events;
    }

    public static class Decode extends RichMapFunction<String, Event> {
        private transient ObjectMapper mapper;

        @Override
        public void open(OpenContext context) {
            mapper = new ObjectMapper();
        }

        @Override
        public Event map(String line) throws Exception {
            return mapper.readValue(line, Event.class);
        }
    }

    public static class Encode extends RichMapFunction<Confirmation, String> {
        private transient ObjectMapper mapper;

        @Override
        public void open(OpenContext context) {
            mapper = new ObjectMapper();
        }

        @Override
        public String map(Confirmation confirmation) throws Exception {
            return mapper.writeValueAsString(confirmation);
        }
    }

    /** Per source: the number that continues the sequence, the events above it, and the open run. */
    public static class Process extends KeyedProcessFunction<String, Event, Confirmation> {
        private transient ValueState<Long> next;
        private transient MapState<Long, Event> held;
        private transient ValueState<Confirmation> open;

        @Override
        public void open(OpenContext context) {
            next = getRuntimeContext().getState(new ValueStateDescriptor<>("next", Types.LONG));
            held = getRuntimeContext().getMapState(
                new MapStateDescriptor<>("held", Types.LONG, TypeInformation.of(Event.class)));
            open = getRuntimeContext().getState(
                new ValueStateDescriptor<>("open", TypeInformation.of(Confirmation.class)));
        }

        @Override
        public void processElement(Event event, Context context, Collector<Confirmation> out) throws Exception {
            Long stored = next.value();
            long number = stored == null ? 0 : stored;
            if (event.seq < number) {
                return;
            }
            if (event.seq > number) {
                if (!held.contains(event.seq)) {
                    held.put(event.seq, event);
                }
                return;
            }
            Confirmation run = open.value();
            while (event != null) {
                if (run == null || !run.order.equals(event.order) || !run.operation.equals(event.operation)) {
                    if (run != null) {
                        out.collect(run);
                    }
                    run = begun(event);
                }
                run.good_qty += event.good_qty;
                run.scrap_qty += event.scrap_qty;
                run.runtime_ms += event.runtime_ms;
                run.energy_wh += event.energy_wh;
                run.events++;
                run.last_time = event.event_time;
                number++;
                event = held.get(number);
                if (event != null) {
                    held.remove(number);
                }
            }
            next.update(number);
            open.update(run);
        }

        private static Confirmation begun(Event event) {
            Confirmation run = new Confirmation();
            run.plant = event.plant;
            run.source = event.source;
            run.order = event.order;
            run.operation = event.operation;
            run.work_center = event.work_center;
            run.lot = event.lot;
            run.first_time = event.event_time;
            return run;
        }
    }

    public static void main(String[] arguments) throws Exception {
        String input = arguments[0];
        String output = arguments[1];
        String checkpoints = arguments[2];
        int parallelism = Integer.parseInt(arguments[3]);
        Configuration configuration = new Configuration();
        configuration.setString("state.backend.type", "hashmap");
        configuration.setString("execution.checkpointing.interval", arguments[4] + "ms");
        configuration.setString("execution.checkpointing.storage", "filesystem");
        configuration.setString("execution.checkpointing.dir", new java.io.File(checkpoints).toURI().toString());
        StreamExecutionEnvironment environment =
            StreamExecutionEnvironment.createLocalEnvironment(parallelism, configuration);
        environment.setRuntimeMode(RuntimeExecutionMode.STREAMING);
        environment.getConfig().enableObjectReuse();
        environment
            .fromSource(
                FileSource.forRecordStreamFormat(new TextLineInputFormat(), new Path(input)).build(),
                WatermarkStrategy.noWatermarks(), "events")
            .map(new Decode()).returns(TypeInformation.of(Event.class))
            .keyBy(event -> event.source, Types.STRING)
            .process(new Process()).returns(TypeInformation.of(Confirmation.class))
            .map(new Encode()).returns(Types.STRING)
            .sinkTo(FileSink.forRowFormat(new Path(output), new SimpleStringEncoder<String>("UTF-8")).build());
        long began = System.nanoTime();
        environment.execute("J");
        System.out.printf("execute_s=%.2f%n", (System.nanoTime() - began) / 1e9);
    }
}
