"""Where a token was last used from."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("chats", "0008_sessions_of_people")]

    operations = [
        migrations.AddField(
            model_name="accesstoken",
            name="address",
            field=models.CharField(
                blank=True, db_default="", default="", editable=False, max_length=45
            ),
        ),
    ]
